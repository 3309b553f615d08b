use std::collections::HashMap;

use bytes::Bytes;
use checkout::{
    InventoryReserved, OrderCancelled, OrderCreated, OrderShipped, OutOfStock, PaymentProcessed,
    PaymentRefunded,
};
use jetsaga::{Event, EventId, Fact, State, Status, StepStatus, Token, saga::evolve};

use super::super::{
    orders::{self, Orders, event_of, order_id},
    site::Role,
};

/// What stands for a state in a bare body, and is all that a bare worker reads of it: one letter each for the saga,
/// payment, inventory and shipping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Marks([u8; 4]);

/// Every body that a bare worker may have to append, built beforehand: by its event type and the marks of the state
/// that it follows.
pub(in super::super) struct Book {
    created: Bytes,
    pages: HashMap<(&'static str, Marks), (Marks, Bytes)>,
}

/// Every way that a saga of the benchmark can go, after its start.
const WAYS: [[&str; 4]; 4] = [
    [
        PaymentProcessed::TYPE,
        InventoryReserved::TYPE,
        OrderShipped::TYPE,
        "",
    ],
    [
        InventoryReserved::TYPE,
        PaymentProcessed::TYPE,
        OrderShipped::TYPE,
        "",
    ],
    [
        PaymentProcessed::TYPE,
        OutOfStock::TYPE,
        PaymentRefunded::TYPE,
        OrderCancelled::TYPE,
    ],
    [
        OutOfStock::TYPE,
        PaymentProcessed::TYPE,
        PaymentRefunded::TYPE,
        OrderCancelled::TYPE,
    ],
];

impl Book {
    /// Goes every way once with the real state, and keeps the size of each event.
    pub(in super::super) fn new(orders: &Orders) -> anyhow::Result<Self> {
        let id = Token::new(&order_id(1, 1))?;
        let created = orders.created(&id)?;
        let mut pages = HashMap::new();
        for way in WAYS {
            let mut before = created.clone();
            for event_type in way.into_iter().filter(|event_type| !event_type.is_empty()) {
                let event = follow(orders, &id, &before, event_type)?;
                pages.insert(
                    (event_type, Marks::of_event(&before)),
                    (Marks::of_event(&event), body(&event)?),
                );
                before = event;
            }
        }
        let created = body(&created)?;
        Ok(Self { created, pages })
    }

    /// The body of a first event.
    pub(in super::super) fn created(&self) -> Bytes {
        self.created.clone()
    }

    /// The marks and the body of an event of this type after a state; `None` if it cannot follow there.
    pub(super) fn page(&self, event_type: &'static str, before: Marks) -> Option<&(Marks, Bytes)> {
        self.pages.get(&(event_type, before))
    }
}

impl Marks {
    /// The marks at the beginning of a body.
    pub(super) fn of(body: &[u8]) -> Option<Self> {
        body.first_chunk().copied().map(Self)
    }

    fn of_event(event: &Event<State>) -> Self {
        let Some(state) = &event.state else {
            return Self(*b"----");
        };
        let saga = match state.status {
            Status::Running => b'R',
            Status::Compensating => b'C',
            Status::Completed | Status::Cancelled => b'E',
        };
        let step = |name: &str| match state.steps.get(name).map(|step| step.status) {
            None | Some(StepStatus::Waiting) => b'w',
            Some(StepStatus::Open) => b'o',
            Some(StepStatus::Done) => b'd',
            Some(StepStatus::Refused) => b'r',
            Some(StepStatus::Undone) => b'u',
        };
        Self([saga, step("payment"), step("inventory"), step("shipping")])
    }

    /// What a worker owes a saga in this state, having heard an event of this type: the engine's `decide` and the
    /// effects of the benchmark in one.
    pub(super) fn owed(self, role: Role, heard: &str, id: &str) -> Option<&'static str> {
        let [saga, payment, inventory, shipping] = self.0;
        let is_start = heard == OrderCreated::TYPE;
        let wanted = if orders::is_out_of_stock(id) {
            OutOfStock::TYPE
        } else {
            InventoryReserved::TYPE
        };
        match (role, saga) {
            (Role::Payment, b'R') => (payment == b'o' && is_start).then_some(PaymentProcessed::TYPE),
            (Role::Payment, b'C') if payment == b'o' => Some(PaymentProcessed::TYPE),
            (Role::Payment, b'C') => (payment == b'd').then_some(PaymentRefunded::TYPE),
            (Role::Inventory, b'R') => (inventory == b'o' && is_start).then_some(wanted),
            (Role::Inventory, b'C') => (inventory == b'o').then_some(wanted),
            (Role::Shipping, b'R') => (shipping == b'o').then_some(OrderShipped::TYPE),
            (Role::Order, b'C') => {
                let active = [payment, inventory, shipping]
                    .iter()
                    .any(|step| b"od".contains(step));
                (!active).then_some(OrderCancelled::TYPE)
            }
            _ => None,
        }
    }
}

/// The event of this type after `before`, as the engine would write it.
fn follow(
    orders: &Orders,
    id: &Token,
    before: &Event<State>,
    event_type: &str,
) -> anyhow::Result<Event<State>> {
    let order = orders.order(id);
    let refusal = orders::out_of_stock(id.clone());
    let (event, reason) = match event_type {
        PaymentProcessed::TYPE => (event_of(id, &orders::paid(&order))?, None),
        PaymentRefunded::TYPE => (event_of(id, &orders::refunded(&orders::paid(&order)))?, None),
        InventoryReserved::TYPE => (event_of(id, &orders::reserved(id.clone()))?, None),
        OrderShipped::TYPE => (event_of(id, &orders::shipped(id.clone()))?, None),
        OutOfStock::TYPE => (event_of(id, &refusal)?, Some(refusal.reason)),
        _ => (
            event_of(id, &orders::cancelled(id.clone()))?,
            Some(refusal.reason),
        ),
    };
    let event = Event {
        causation_id: Some(EventId::derived("checkout", id.as_str(), "cause")),
        attempt: (event_type != OrderCancelled::TYPE).then_some(1),
        reason,
        ..event
    };
    let sequence = 1_000_000; // as long as in the middle of a run
    let state = evolve(&orders.plan, before.state.as_ref(), &event, id, sequence)?;
    Ok(event.with_state(Some(state)))
}

/// A body as large as this event's, that begins with its marks.
fn body(event: &Event<State>) -> anyhow::Result<Bytes> {
    let mut body = serde_json::to_vec(event)?;
    for (byte, mark) in body.iter_mut().zip(Marks::of_event(event).0) {
        *byte = mark;
    }
    Ok(body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_owed_has_a_page_until_nothing_is() {
        let orders = Orders::new().unwrap();
        let book = Book::new(&orders).unwrap();
        for (id, last) in [
            ("B001-00000001", OrderShipped::TYPE),
            ("B001-00000009", OrderCancelled::TYPE),
        ] {
            let mut marks = Marks::of(&book.created()).unwrap();
            let (mut heard, mut happened) = (OrderCreated::TYPE, Vec::new());
            let owed = |marks: Marks, heard| Role::ALL.iter().find_map(|role| marks.owed(*role, heard, id));
            while let Some(event) = owed(marks, OrderCreated::TYPE).or_else(|| owed(marks, heard)) {
                (marks, heard) = (book.page(event, marks).unwrap().0, event);
                happened.push(event);
            }
            assert_eq!(happened.last(), Some(&last), "{happened:?}");
        }
    }
}
