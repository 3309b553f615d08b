use std::collections::BTreeMap;

use saga::{EventId, Plan, State, StepStuck, Timestamp, Token};
use serde::Deserialize;

use super::{
    Entry, Finds, Invariant, Letter, Request,
    path::{Leg, Path, Step},
    thread::{RawEvent, Thread, Told},
};
use crate::{Money, OrderCreated, stock::Reservation};

/// Everything that is known of one order.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub(super) saga: Thread<State>,
    pub(super) path: Path,
    pub(super) reservation: Thread<Reservation>,
    pub(super) hold: Hold,
    /// What it takes of each product.
    pub(super) items: BTreeMap<Token, i64>,
    /// What the products say that was moved for it.
    pub(super) parts: BTreeMap<Token, Part>,
    pub(super) total: Option<u64>,
    pub(super) paid: Option<u64>,
    pub(super) refunded: Option<u64>,
    pub(super) deadline: Option<Timestamp>,
    pub(super) entries: Vec<Entry>,
    pub(super) letters: Vec<Letter>,
    pub(super) requests: Vec<Request>,
    /// Retries that are scheduled for it.
    pub(super) retries: u32,
    /// Whether a timer stands for its deadline.
    pub(super) timer: bool,
    /// The event that opened shipping.
    joined: Option<EventId>,
}

/// What became of an order's wish for stock, told from the types of its reservation's events alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Hold {
    #[default]
    Undecided,
    Held,
    Refused,
    Forbidden,
    Released,
    Shipped,
}

/// How many units of one product were moved for an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Set aside and not withdrawn.
    pub(super) held: i64,
    pub(super) released: i64,
    pub(super) shipped: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    order_id: Token,
}

#[derive(Deserialize)]
struct Amount {
    amount: Money,
}

impl Order {
    /// Takes the next event of its saga.
    pub(super) fn take(&mut self, told: &Told<'_>, plan: &Plan, finds: &mut Finds<'_>) {
        if let Some(event) = told.event {
            self.caused(told.what, event, finds);
        }
        self.saga.link(told, finds);
        let shipping = self.path.shipping;
        self.path.take(told.what, finds);
        if let Some(event) = told.event {
            if shipping == Leg::Waiting && self.path.shipping == Leg::Open {
                self.joined = Some(event.event_id);
            }
            self.learn(told, event, finds);
        }
        self.saga.fold(told, plan, finds);
        self.stock_agrees(told.what, finds);
    }

    /// Each event names what caused it; while nothing has turned the order, an outcome is caused by what opened its step,
    /// and by nothing else. A person's word on a step rests on no event.
    fn caused(&self, what: &str, event: &RawEvent, finds: &mut Finds<'_>) {
        if matches!(what, "OrderCreated" | "StepStuck") || event.resolved_by.is_some() {
            return;
        }
        let Some(cause) = event.causation_id else {
            return finds.add(Invariant::I4, format!("{what} names no cause"));
        };
        let own = self.saga.lines.iter().any(|line| line.id == Some(cause));
        if !own && !matches!(what, "OrderCancellationRequested" | "OrderCancelled") {
            finds.add(
                Invariant::I4,
                format!("{what} is caused by {cause}, which is no event of the order before it"),
            );
            return;
        }
        let opener = match Path::opened(what) {
            Some(Step::Payment | Step::Inventory) => self.saga.lines.front().and_then(|line| line.id),
            Some(Step::Shipping) => self.joined,
            None => return,
        };
        if !self.path.turned && opener != Some(cause) {
            finds.add(
                Invariant::I4,
                format!("{what} is caused by {cause}, which did not open its step"),
            );
        }
    }

    /// Takes what the payload says.
    fn learn(&mut self, told: &Told<'_>, event: &RawEvent, finds: &mut Finds<'_>) {
        let what = told.what;
        if what == "StepStuck" {
            return match event.payload.read::<StepStuck>() {
                Ok(stuck) => self.path.stuck(stuck.step.as_str(), stuck.direction, finds),
                Err(why) => finds.add(Invariant::I7, format!("the payload of {what}: {why}")),
            };
        }
        match event.payload.read::<Named>() {
            Ok(named) if named.order_id == told.name.id => {}
            Ok(named) => finds.add(Invariant::I7, format!("{what} speaks of {}", named.order_id)),
            Err(why) => finds.add(Invariant::I7, format!("the payload of {what}: {why}")),
        }
        let amount = || event.payload.read::<Amount>().map(|it| it.amount.minor()).ok();
        match what {
            "OrderCreated" => self.created(event, finds),
            "PaymentProcessed" => self.paid = self.amount(what, amount(), finds),
            "PaymentRefunded" => self.refunded = self.amount(what, amount(), finds),
            _ => {}
        }
    }

    fn created(&mut self, event: &RawEvent, finds: &mut Finds<'_>) {
        match event.payload.read::<OrderCreated>() {
            Ok(order) => {
                self.total = Some(order.total_amount.minor());
                for item in &order.items {
                    *self.items.entry(item.product_id.clone()).or_default() += i64::from(item.quantity);
                }
            }
            Err(why) => finds.add(Invariant::I7, format!("the payload of OrderCreated: {why}")),
        }
        self.deadline = event.deadline;
    }

    fn amount(&self, what: &str, amount: Option<u64>, finds: &mut Finds<'_>) -> Option<u64> {
        if amount != self.total {
            let (amount, total) = (cents(amount), cents(self.total));
            finds.add(
                Invariant::I5,
                format!("{what} says {amount}, but the order is about {total}"),
            );
        }
        amount
    }

    /// The reservation is always first to know: what the saga records of stock has happened there.
    fn stock_agrees(&self, what: &str, finds: &mut Finds<'_>) {
        let known = match what {
            "InventoryReserved" => matches!(self.hold, Hold::Held | Hold::Released | Hold::Shipped),
            "OutOfStock" => matches!(self.hold, Hold::Refused | Hold::Forbidden),
            "InventoryReleased" => self.hold == Hold::Released,
            "OrderShipped" => {
                if self.hold != Hold::Held {
                    finds.add(
                        Invariant::I9,
                        format!("OrderShipped, but its stock is {:?}", self.hold),
                    );
                }
                return;
            }
            _ => return,
        };
        if !known {
            finds.add(
                Invariant::I6,
                format!("{what}, but the reservation is {:?}", self.hold),
            );
        }
    }

    /// Takes the next event of its reservation.
    pub(super) fn reserve(&mut self, told: &Told<'_>, plan: &Plan, finds: &mut Finds<'_>) {
        self.reservation.link(told, finds);
        self.reservation.fold(told, plan, finds);
        let (first, hold) = match told.what {
            "ReservationHeld" => (true, Hold::Held),
            "ReservationRefused" => (true, Hold::Refused),
            "ReservationForbidden" => (true, Hold::Forbidden),
            "ReservationReleased" => (false, Hold::Released),
            "ReservationShipped" => (false, Hold::Shipped),
            what => return finds.add(Invariant::I7, format!("{what} is no event of a reservation")),
        };
        let before = if first { Hold::Undecided } else { Hold::Held };
        if self.hold != before {
            let known = self.hold;
            finds.add(
                Invariant::I4,
                format!("{}, but the reservation was {known:?} already", told.what),
            );
        }
        if hold == Hold::Shipped && self.path.shipping != Leg::Done {
            finds.add(Invariant::I9, "ReservationShipped, but the order is not shipped");
        }
        self.hold = hold;
    }

    /// True once its saga is over, and everything else that was read is newer than its last event.
    pub(super) const fn is_settled(&self, settled: u64) -> bool {
        self.path.end.is_some() && self.saga.last <= settled
    }

    /// Its story: its events and its reservation's, then its lines of the ledger, its letters, and who asked for it.
    pub(super) fn story(&self) -> Vec<String> {
        let mut events: Vec<(u64, String)> = self.saga.tell().chain(self.reservation.tell()).collect();
        events.sort_by_key(|(sequence, _)| *sequence);
        let mut story: Vec<String> = events.into_iter().map(|(_, line)| line).collect();
        story.extend(self.entries.iter().map(Entry::tell));
        story.extend(self.letters.iter().map(Letter::tell));
        story.extend(self.requests.iter().map(Request::tell));
        story
    }
}

/// An amount of minor units as a person reads it.
pub(super) fn cents(amount: Option<u64>) -> String {
    amount.map_or_else(
        || "nothing".to_owned(),
        |amount| format!("{}.{:02}", amount / 100, amount % 100),
    )
}
