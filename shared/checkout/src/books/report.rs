use std::fmt;

use saga::{Timestamp, Token};
use serde::Serialize;

use super::Source;

/// What has to hold of every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Invariant {
    /// Every accepted order has exactly one `OrderCreated`; a refused one has none or one, never two.
    I1,
    /// Every saga is in one final state, and that event is its last.
    I2,
    /// Each event's guard is the sequence of the entity's previous event: one chain.
    I3,
    /// Each outcome of a step appears once, and each trigger is applied once.
    I4,
    /// Charged minus refunded is the total of a completed order and nothing of any other.
    I5,
    /// Stock is never negative, and what came in is on hand, reserved or shipped.
    I6,
    /// Folding the payloads again gives the states that the events and the bucket carry.
    I7,
    /// What is undone is exactly what was done, dependents first; what was open is settled before the end.
    I8,
    /// Nothing is shipped before its payment and its stock.
    I9,
    /// Every message is acknowledged, dead-lettered or still due.
    I10,
    /// Nothing is a dead letter that was not a fault, and each names its reason.
    I11,
}

/// One sentence that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// What it breaks.
    pub invariant: Invariant,
    /// Of what: an entity as `<kind>.<id>`, or `ledger`, `letters`, a consumer.
    pub entity: String,
    /// What is wrong.
    pub sentence: String,
    /// Everything that is known of the entity, a line for each event, ledger entry, letter and request.
    pub story: Vec<String>,
}

/// A saga that is not final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// The order.
    pub id: Token,
    /// The sequence of its last event.
    pub sequence: u64,
    /// A step of it made no progress within its limits and is tried on, slowly.
    pub stuck: bool,
    /// Nothing is pending, scheduled or unacknowledged that would carry it on.
    pub stranded: bool,
    /// The deadline that no timer stands for, if it lacks one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_timer: Option<Timestamp>,
}

/// How much was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Messages of the journal.
    pub events: u64,
    /// Orders with an `OrderCreated`.
    pub orders: u64,
    /// Orders that were shipped.
    pub completed: u64,
    /// Orders that were taken back.
    pub cancelled: u64,
    /// Orders whose money was given back.
    pub refunded: u64,
    /// Orders that are not final.
    pub open: u64,
    /// Orders that are open and stuck.
    pub stuck: u64,
    /// Products.
    pub products: u64,
    /// Adjustments of stock.
    pub adjustments: u64,
    /// Keys of the state bucket.
    pub keys: u64,
    /// Lines of the provider's ledger.
    pub entries: u64,
    /// Dead letters.
    pub letters: u64,
    /// Requests of the history.
    pub requests: u64,
}

/// What the books say of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Everything that does not hold, in the order of invariants.
    pub violations: Vec<Violation>,
    /// How much was checked.
    pub counts: Counts,
    /// The sagas that are not final. At rest those that are not stuck are violations too.
    pub open: Vec<Open>,
    /// What could not be compared, because it was not there.
    pub missing: Vec<Source>,
}

impl Report {
    /// True if nothing is violated.
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }

    /// The violations of one invariant.
    pub fn of(&self, invariant: Invariant) -> impl Iterator<Item = &Violation> {
        self.violations.iter().filter(move |v| v.invariant == invariant)
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The violation in a line, its story below it.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<4} {}: {}", self.invariant, self.entity, self.sentence)?;
        self.story
            .iter()
            .try_for_each(|line| write!(f, "\n       {line}"))
    }
}

/// Every violation with its story, and a table of counts at the end.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            writeln!(f, "{violation}\n")?;
        }
        let Counts {
            events,
            orders,
            completed,
            cancelled,
            refunded,
            open,
            stuck,
            products,
            adjustments,
            keys,
            entries,
            letters,
            requests,
        } = self.counts;
        let mut row = |name: &str, value: &dyn fmt::Display| writeln!(f, "{name:<18} {value}");
        row("events", &events)?;
        row("orders", &orders)?;
        row("completed", &completed)?;
        row("cancelled", &cancelled)?;
        row("refunded", &refunded)?;
        row("open", &format_args!("{open} ({stuck} stuck)"))?;
        row("products", &products)?;
        row("adjustments", &adjustments)?;
        row("bucket keys", &keys)?;
        row("ledger entries", &entries)?;
        row("dead letters", &letters)?;
        row("requests", &requests)?;
        let missing: Vec<&str> = self.missing.iter().map(|source| source.file()).collect();
        if !missing.is_empty() {
            row("not compared", &missing.join(", "))?;
        }
        self.verdict(f)
    }
}

impl Report {
    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.holds() {
            return write!(f, "{:<18} everything holds", "verdict");
        }
        let all = [
            Invariant::I1,
            Invariant::I2,
            Invariant::I3,
            Invariant::I4,
            Invariant::I5,
            Invariant::I6,
            Invariant::I7,
            Invariant::I8,
            Invariant::I9,
            Invariant::I10,
            Invariant::I11,
        ];
        let broken = all.into_iter().filter_map(|invariant| {
            let count = self.of(invariant).count();
            (count > 0).then(|| format!("{invariant} {count}"))
        });
        let broken: Vec<String> = broken.collect();
        let count = self.violations.len();
        write!(f, "{:<18} {count} VIOLATED: {}", "verdict", broken.join(", "))
    }
}
