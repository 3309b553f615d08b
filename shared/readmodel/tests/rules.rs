//! What each event changes in the tables: given these, when that one is heard, then this is the row.

#![allow(clippy::unwrap_used, clippy::panic)] // a test

use checkout::{Checkout, OrderCancelled, OrderCreated, PaymentProcessed, PaymentRefunded};
use projection::{Heard, Picture, Projection, Value};
use readmodel::{Customers, Orders, Products, Revenue, projections};
use saga::{Direction, Event, EventId, Fact, Payload, Plan, State, StepStuck, Timestamp, Token, evolve};
use serde::Serialize;
use serde_json::{json, value::to_raw_value};

/// An order that is told event by event.
struct Told {
    plan: Plan,
    state: Option<State>,
    heard: Vec<Heard>,
}

const REASON: &str = "card declined";

impl Told {
    /// One of two lines, 75.50 altogether, placed a minute before midnight.
    fn order() -> Self {
        let order = json!({
            "orderId": "ORD-1", "customerId": "CUST-1", "totalAmount": 75.5,
            "items": [{"productId": "PROD-A1", "quantity": 2}, {"productId": "PROD-B2", "quantity": 1}],
            "shippingAddress": {"street": "123 Main St", "city": "Anytown", "zip": "12345"},
        });
        let told = Self {
            plan: Plan::of::<Checkout>().unwrap(),
            state: None,
            heard: Vec::new(),
        };
        told.then(OrderCreated::TYPE, &order)
    }

    fn paid(self) -> Self {
        let paid = json!({"orderId": "ORD-1", "paymentId": "pay-1", "amount": 75.5});
        self.then(PaymentProcessed::TYPE, &paid)
    }

    /// A minute later.
    fn then(mut self, event_type: &str, payload: &impl Serialize) -> Self {
        let id = Token::new("ORD-1").unwrap();
        let number = self.heard.len() as u64 + 1;
        let mut event = event(event_type, number, payload);
        event.reason = Some(REASON.to_owned());
        let state = evolve(&self.plan, self.state.as_ref(), &event, &id, 1).unwrap();
        self.heard.push(heard("checkout", "ORD-1", event, number, &state));
        self.state = Some(state);
        self
    }

    fn shown_by(&self, projection: &dyn Projection) -> Picture {
        shown(projection, &self.heard)
    }
}

fn event(event_type: &str, number: u64, payload: &impl Serialize) -> Event<()> {
    let id = EventId::derived("test", event_type, &number.to_string());
    let time = Timestamp::EPOCH;
    Event::new(
        id,
        Token::new(event_type).unwrap(),
        time,
        Payload::of(payload).unwrap(),
    )
}

fn heard(kind: &str, id: &str, event: Event<()>, sequence: u64, state: &impl Serialize) -> Heard {
    let last_minute: Timestamp = "2026-11-24T23:58:00Z".parse().unwrap();
    Heard {
        kind: Token::new(kind).unwrap(),
        id: Token::new(id).unwrap(),
        event,
        state: to_raw_value(state).unwrap(),
        sequence,
        stored_at: last_minute.after(std::time::Duration::from_secs(60 * sequence)),
    }
}

fn shown(projection: &dyn Projection, events: &[Heard]) -> Picture {
    let mut picture = Picture::of(projection);
    for heard in events {
        picture.hear(projection, heard).unwrap();
    }
    picture
}

fn cell(picture: &Picture, table: &str, key: &str, column: &str) -> Value {
    let row = picture.row(table, [key]).unwrap();
    row.get(column)
        .unwrap_or_else(|| panic!("no column {column}"))
        .clone()
}

#[test]
fn an_order_that_is_taken_back_says_why_and_owes_nothing() {
    let short = json!({"orderId": "ORD-1", "reason": REASON});
    let refunded = json!({"orderId": "ORD-1", "refundId": "r-1", "amount": 75.5});
    let told = Told::order().paid().then("OutOfStock", &short);
    let orders = told.shown_by(&Orders);
    assert_eq!(cell(&orders, "orders", "ORD-1", "status"), "compensating".into());
    assert_eq!(cell(&orders, "orders", "ORD-1", "ended_at"), Value::Null);

    let told = told
        .then(PaymentRefunded::TYPE, &refunded)
        .then(OrderCancelled::TYPE, &short);
    let orders = told.shown_by(&Orders);
    for (column, value) in [
        ("customer_id", "CUST-1".into()),
        ("status", "cancelled".into()),
        ("customer_status", "CUST-1 cancelled".into()),
        ("reason", REASON.into()),
        ("total", 7550_i64.into()),
        ("items", 2_i64.into()),
        ("pieces", 3_i64.into()),
        ("charged", 7550_i64.into()),
        ("refunded", 7550_i64.into()),
        ("sequence", 5_i64.into()),
        (
            "created_at",
            "2026-11-24T23:59:00Z".parse::<Timestamp>().unwrap().into(),
        ),
        (
            "ended_at",
            "2026-11-25T00:03:00Z".parse::<Timestamp>().unwrap().into(),
        ),
    ] {
        assert_eq!(cell(&orders, "orders", "ORD-1", column), value, "{column}");
    }
    let customers = told.shown_by(&Customers);
    for (column, value) in [
        ("orders", 1),
        ("cancelled", 1),
        ("completed", 0),
        ("charged", 7550),
        ("refunded", 7550),
    ] {
        assert_eq!(
            cell(&customers, "customers", "CUST-1", column),
            Value::Integer(value),
            "{column}"
        );
    }
    let revenue = told.shown_by(&Revenue);
    for (day, column, value) in [
        ("2026-11-24", "orders", 1),
        ("2026-11-24", "charged", 0),
        ("2026-11-25", "charged", 7550),
        ("2026-11-25", "refunded", 7550),
        ("2026-11-25", "cancelled", 1),
    ] {
        assert_eq!(
            cell(&revenue, "revenue", day, column),
            Value::Integer(value),
            "{day} {column}"
        );
    }
}

#[test]
fn an_order_that_is_held_up_shows_it_until_it_goes_on() {
    let stuck = StepStuck {
        step: Token::new("payment").unwrap(),
        direction: Direction::Forward,
        reason: "no answer".to_owned(),
    };
    let told = Told::order().then("StepStuck", &stuck);
    let orders = told.shown_by(&Orders);
    assert_eq!(cell(&orders, "orders", "ORD-1", "status"), "stuck".into());
    assert_eq!(cell(&orders, "orders", "ORD-1", "reason"), "no answer".into());
    let orders = told.paid().shown_by(&Orders);
    assert_eq!(cell(&orders, "orders", "ORD-1", "status"), "running".into());
    assert_eq!(cell(&orders, "orders", "ORD-1", "reason"), Value::Null);
}

#[test]
fn nothing_personal_is_kept_of_a_customer() {
    let personal = json!({"customerId": "CUST-1", "name": "Ada Lovelace", "email": "ada@example.org"});
    let of = |event_type: &str, number| {
        heard(
            "customer",
            "CUST-1",
            event(event_type, number, &personal),
            number,
            &personal,
        )
    };
    let mut events = vec![of("CustomerCreated", 1), of("CustomerEmailChanged", 2)];
    let customers = shown(&Customers, &events);
    assert_eq!(cell(&customers, "customers", "CUST-1", "erased_at"), Value::Null);
    events.push(of("CustomerErased", 3));
    let order = Told::order();
    events.extend(order.heard);
    for projection in projections() {
        let text = shown(&*projection, &events).lines().join("\n");
        for word in ["Ada", "ada@", "Main St", "Anytown"] {
            assert!(!text.contains(word), "{}: {text}", projection.name());
        }
    }
    let customers = shown(&Customers, &events);
    assert_ne!(cell(&customers, "customers", "CUST-1", "erased_at"), Value::Null);
    assert_eq!(
        cell(&customers, "customers", "CUST-1", "last_order"),
        "ORD-1".into()
    );
}

#[test]
fn a_product_shows_where_its_units_are_and_other_kinds_change_nothing() {
    let state = json!({"onHand": 7, "reserved": 2, "shipped": 1, "inFlight": [{"kind": "hold", "id": "x", "quantity": 2}]});
    let change = heard(
        "stock",
        "PROD-A1",
        event("StockReserved", 1, &json!({})),
        1,
        &state,
    );
    let products = shown(&Products, std::slice::from_ref(&change));
    assert_eq!(cell(&products, "products", "PROD-A1", "on_hand"), 7_i64.into());
    assert_eq!(cell(&products, "products", "PROD-A1", "reserved"), 2_i64.into());
    assert!(shown(&Orders, &[change]).lines().is_empty());
    assert!(Told::order().shown_by(&Products).lines().is_empty());
}
