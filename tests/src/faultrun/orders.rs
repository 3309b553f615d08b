use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use checkout::{Address, Item, Money, OrderCreated};
use jetsaga::{EventId, Token};
use serde_json::{Value, json};

use super::history::{Expected, Message};

/// What is in stock.
pub(super) const PRODUCTS: [&str; 12] = [
    "PROD-1", "PROD-2", "PROD-3", "PROD-4", "PROD-5", "PROD-6", "PROD-7", "PROD-8", "PROD-9", "PROD-10",
    "PROD-11", "PROD-12",
];
/// What nobody ever stocks.
const SOLD_OUT: &str = "PROD-SOLD-OUT";

/// An order with all that is sent for it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The order itself.
    pub(super) first: Message,
    /// True if nothing about it is out of the ordinary, so that its time says how the system is.
    pub(super) healthy: bool,
    /// What follows after so long, whatever came of the first.
    pub(super) later: Vec<(Duration, Message)>,
    /// What follows once the first was let in.
    pub(super) after_ok: Vec<Message>,
}

/// The order number `n` of a run: a pure function of both. One in five is out of the ordinary: the card is declined,
/// the goods are not in stock, nobody delivers there, it is cancelled, comes twice or in two contents, or is no order.
///
/// # Errors
/// When an order cannot be written as JSON.
pub(super) fn request(seed: u64, n: u64) -> Result<Request> {
    let mut chance = fastrand::Rng::with_seed(seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let id = format!("RUN-{n}");
    let roll = chance.u8(0..100);
    let (card, product, zip) = match roll {
        0..=4 => (Some("tok_decline"), None, "12345"),
        5..=9 => (None, Some(SOLD_OUT), "12345"),
        10..=11 => (None, None, "00000"),
        _ => (None, None, "12345"),
    };
    let order = order(&id, card, product, zip, &mut chance)?;
    let first = placed(seed, &id, &order)?;
    let mut request = Request {
        healthy: roll >= 24,
        first,
        later: Vec::new(),
        after_ok: Vec::new(),
    };
    let again = Message {
        expected: Expected::Duplicate,
        ..request.first.clone()
    };
    let soon = Duration::from_millis(chance.u64(0..1500));
    match roll {
        12..=14 => request.later.push((soon, cancellation(seed, &id, 0))),
        15..=17 => request.later.push((Duration::ZERO, again)),
        18..=19 => request
            .later
            .push((Duration::from_secs(chance.u64(5..20)), again)),
        20..=21 => request
            .after_ok
            .push(conflict(&request.first, order, roll == 20)?),
        22..=23 => request.first = bad(seed, &id, chance.usize(0..5)),
        _ => {}
    }
    Ok(request)
}

/// An order like any other, under this id.
///
/// # Errors
/// When it cannot be written as JSON.
pub(super) fn plain(seed: u64, id: &str) -> Result<Message> {
    let mut chance = fastrand::Rng::with_seed(seed);
    placed(seed, id, &order(id, None, None, "12345", &mut chance)?)
}

/// The `n`th request to cancel an order.
pub(super) fn cancellation(seed: u64, id: &str, n: usize) -> Message {
    let what = "OrderCancellationRequested";
    let event_id = event_id(seed, id, &format!("{what}-{n}"));
    let payload = json!({"orderId": id, "reason": "changed my mind"});
    message(id, &event_id, what, &payload, Expected::Good)
}

fn order(
    id: &str,
    card: Option<&str>,
    missing: Option<&str>,
    zip: &str,
    chance: &mut fastrand::Rng,
) -> Result<OrderCreated> {
    let first = chance.usize(0..PRODUCTS.len());
    let second = (first + chance.usize(1..PRODUCTS.len())) % PRODUCTS.len();
    let count = chance.usize(1..=2);
    let mut items = Vec::new();
    for product in [PRODUCTS[first], PRODUCTS[second]]
        .into_iter()
        .take(count)
        .chain(missing)
    {
        items.push(Item {
            product_id: Token::new(product)?,
            quantity: chance.u32(1..=3),
            unit_price: None,
        });
    }
    Ok(OrderCreated {
        order_id: Token::new(id)?,
        customer_id: Token::new(&format!("CUST-{}", chance.u32(1..1000)))?,
        items,
        total_amount: Money::from_minor(chance.u64(100..100_000)).unwrap_or_default(),
        shipping_address: Address {
            street: "123 Main St".into(),
            city: "Anytown".into(),
            zip: zip.into(),
        },
        payment_method: card.map(Token::new).transpose()?,
    })
}

fn placed(seed: u64, id: &str, order: &OrderCreated) -> Result<Message> {
    let payload = serde_json::to_value(order)?;
    let event_id = event_id(seed, id, "OrderCreated");
    Ok(message(id, &event_id, "OrderCreated", &payload, Expected::Good))
}

/// The same order with another street, or another order under the same event id.
fn conflict(first: &Message, mut order: OrderCreated, same_order: bool) -> Result<Message> {
    let mut id = first.order_id.clone();
    let mut event_id = first.event_id.clone().unwrap_or_default();
    if same_order {
        order.shipping_address.street = "1 Other St".into();
        event_id = EventId::derived("faults", &id, "conflict").to_string();
    } else {
        id = format!("{id}-OTHER");
        order.order_id = Token::new(&id)?;
    }
    let payload = serde_json::to_value(order)?;
    Ok(message(&id, &event_id, "OrderCreated", &payload, Expected::Bad))
}

/// A message that is an event and no order.
fn bad(seed: u64, id: &str, which: usize) -> Message {
    let mut payload = json!({
        "orderId": id, "customerId": "CUST-1", "items": [{"productId": "PROD-1", "quantity": 1}], "totalAmount": 1.50,
        "shippingAddress": {"street": "123 Main St", "city": "Anytown", "zip": "12345"},
    });
    let mut event_type = "OrderCreated";
    match which {
        0 => payload["items"][0]["quantity"] = Value::from(0),
        1 => payload["discount"] = Value::from(5),
        2 => payload["orderId"] = Value::from("no token"),
        3 => payload["totalAmount"] = Value::from("much"),
        _ => event_type = "OrderShipped",
    }
    let event_id = event_id(seed, id, "bad");
    message(id, &event_id, event_type, &payload, Expected::Bad)
}

fn message(id: &str, event_id: &str, event_type: &str, payload: &Value, expected: Expected) -> Message {
    let event = json!({
        "eventId": event_id, "eventType": event_type, "timestamp": "2023-10-27T10:30:00Z", "payload": payload,
    });
    Message {
        order_id: id.to_owned(),
        event_id: Some(event_id.to_owned()),
        event_type: event_type.to_owned(),
        body: Bytes::from(event.to_string()),
        expected,
    }
}

fn event_id(seed: u64, id: &str, what: &str) -> String {
    EventId::derived(&format!("faults-{seed}"), id, what).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_orders_the_same_and_most_orders_are_healthy() {
        let healthy = (0..1000).filter(|n| request(7, *n).unwrap().healthy).count();
        assert!((700..820).contains(&healthy), "{healthy}");
        let (one, other) = (request(7, 3).unwrap(), request(7, 3).unwrap());
        assert_eq!(one.first.body, other.first.body);
    }
}
