use std::{collections::BTreeMap, fmt};

use engine::faults::Point;

use super::Fault;

/// What was reached, in one run or in many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs.
    pub seeds: u64,
    /// Orders that were placed.
    pub orders: u64,
    /// Orders that were let in.
    pub sagas: u64,
    /// Events of the journal.
    pub events: u64,
    /// The fewest orders of a run.
    pub fewest_orders: u64,
    /// The fewest faults of a run.
    pub fewest_faults: u64,
    faults: BTreeMap<Fault, u64>,
    points: BTreeMap<(Point, bool), u64>,
    outcomes: BTreeMap<String, u64>,
}

/// Every event type of the checkout.
const OUTCOMES: [&str; 14] = [
    "InventoryReleased",
    "InventoryReserved",
    "OrderCancellationRequested",
    "OrderCancelled",
    "OrderCreated",
    "OrderShipped",
    "OrderTimedOut",
    "OutOfStock",
    "PaymentFailed",
    "PaymentProcessed",
    "PaymentRefunded",
    "ReservationForbidden",
    "ShippingFailed",
    "StepStuck",
];

impl Tally {
    /// Counts a fault that struck.
    pub fn fault(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    /// Counts a message at a point, handed out for the first time or again.
    pub fn point(&mut self, point: Point, is_again: bool) {
        *self.points.entry((point, is_again)).or_default() += 1;
    }

    /// Counts an event of the journal.
    pub fn event(&mut self, event_type: &str) {
        self.events += 1;
        match self.outcomes.get_mut(event_type) {
            Some(count) => *count += 1,
            None => drop(self.outcomes.insert(event_type.to_owned(), 1)),
        }
    }

    /// How many faults struck, without the weather.
    pub fn struck(&self) -> u64 {
        let faults = self.faults.iter().filter(|(fault, _)| !fault.is_weather());
        faults.map(|(_, count)| count).sum()
    }

    /// Adds what another run reached.
    pub fn add(&mut self, other: &Self) {
        let is_first = self.seeds == 0;
        let least = |a: u64, b: u64| if is_first { b } else { a.min(b) };
        self.fewest_orders = least(self.fewest_orders, other.fewest_orders);
        self.fewest_faults = least(self.fewest_faults, other.fewest_faults);
        self.seeds += other.seeds;
        self.orders += other.orders;
        self.sagas += other.sagas;
        self.events += other.events;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (point, count) in &other.points {
            *self.points.entry(*point).or_default() += count;
        }
        for (outcome, count) in &other.outcomes {
            *self.outcomes.entry(outcome.clone()).or_default() += count;
        }
    }

    /// The cells that were never reached.
    pub fn empty(&self) -> Vec<String> {
        let faults = Fault::ALL.into_iter().filter(|it| !self.faults.contains_key(it));
        let faults = faults.map(|it| it.to_string());
        let points = cells().filter(|it| !self.points.contains_key(it));
        let points = points.map(|(point, is_again)| format!("{point:?}, {}", handed(is_again)));
        let outcomes = OUTCOMES.into_iter().filter(|it| !self.outcomes.contains_key(*it));
        faults.chain(points).chain(outcomes.map(str::to_owned)).collect()
    }
}

/// Every point with either kind of delivery.
fn cells() -> impl Iterator<Item = (Point, bool)> {
    Point::ALL
        .into_iter()
        .flat_map(|point| [(point, false), (point, true)])
}

const fn handed(is_again: bool) -> &'static str {
    if is_again {
        "handed out again"
    } else {
        "handed out first"
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seeds,
            orders,
            sagas,
            events,
            ..
        } = self;
        writeln!(
            f,
            "{seeds} seeds, {orders} orders, {sagas} sagas, {events} events, {} faults",
            self.struck()
        )?;
        writeln!(
            f,
            "at least {} orders and {} faults a seed\n",
            self.fewest_orders, self.fewest_faults
        )?;
        for fault in Fault::ALL {
            let count = self.faults.get(&fault).copied().unwrap_or(0);
            writeln!(f, "{fault:<40}{count:>10}")?;
        }
        writeln!(f, "\n{:<40}{:>10}{:>10}", "point", "first", "again")?;
        for point in Point::ALL {
            let count = |is_again| self.points.get(&(point, is_again)).copied().unwrap_or(0);
            writeln!(
                f,
                "{:<40}{:>10}{:>10}",
                format!("{point:?}"),
                count(false),
                count(true)
            )?;
        }
        writeln!(f)?;
        for outcome in OUTCOMES {
            let count = self.outcomes.get(outcome).copied().unwrap_or(0);
            writeln!(f, "{outcome:<40}{count:>10}")?;
        }
        Ok(())
    }
}
