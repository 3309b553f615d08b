use saga::EventId;
use serde_json::{Value, json};

use super::Dice;

/// The products that there are.
pub(super) const PRODUCTS: [&str; 3] = ["PROD-A", "PROD-B", "PROD-C"];

/// An order as somebody wants it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Its id.
    pub(super) id: String,
    /// The id of the event that places it.
    pub(super) event_id: EventId,
    payload: Value,
}

impl Wanted {
    /// An order for some of the products, in a few of ten with a card, a quantity or an address that is no good.
    pub(super) fn some(id: &str, dice: &mut Dice) -> Self {
        let mut items = Vec::new();
        for _ in 0..dice.between(1, 3) {
            let product = dice.pick(&PRODUCTS).copied().unwrap_or_default();
            let quantity = if dice.happens(40) { 500 } else { dice.between(1, 3) };
            items.push(json!({"productId": product, "quantity": quantity}));
        }
        let minor = if dice.happens(40) {
            0
        } else {
            dice.between(1, 20_000)
        };
        let zip = if dice.happens(80) { "00000" } else { "12345" };
        let mut payload = json!({
            "orderId": id,
            "customerId": "CUST-1",
            "items": items,
            "totalAmount": amount(minor),
            "shippingAddress": {"street": "1 Main St", "city": "Anytown", "zip": zip},
        });
        if dice.happens(80) {
            payload["paymentMethod"] = json!("tok_declined");
        }
        Self {
            id: id.to_owned(),
            event_id: EventId::derived("world", id, "placed"),
            payload,
        }
    }

    /// The event that places it.
    pub(super) fn event(&self) -> Value {
        event("OrderCreated", self.event_id, &self.payload)
    }

    /// The event that cancels it.
    pub(super) fn cancellation(&self) -> Value {
        let event_id = EventId::derived("world", &self.id, "cancelled");
        let payload = json!({"orderId": self.id, "reason": "changed my mind"});
        event("OrderCancellationRequested", event_id, &payload)
    }

    /// Another order under the same id.
    pub(super) fn conflicting(&self) -> Value {
        let mut payload = self.payload.clone();
        payload["customerId"] = json!("CUST-2");
        event(
            "OrderCreated",
            EventId::derived("world", &self.id, "conflict"),
            &payload,
        )
    }

    /// Another order under the same event id.
    pub(super) fn under_its_event_id(&self) -> Value {
        let mut payload = self.payload.clone();
        payload["orderId"] = json!(format!("{}-other", self.id));
        event("OrderCreated", self.event_id, &payload)
    }
}

/// What the order worker cannot let in, and the subject it comes on.
pub(super) fn junk(dice: &mut Dice) -> (String, String) {
    let id = EventId::derived("world", "junk", &dice.below(u64::MAX).to_string());
    let body = match dice.below(3) {
        0 => "no event at all".to_owned(),
        1 => event("OrderCreated", id, &json!({"orderId": "ORD-0"})).to_string(),
        _ => event("OrderShipped", id, &json!({"orderId": "ORD-1"})).to_string(),
    };
    ("in.checkout.OrderCreated".to_owned(), body)
}

/// What no worker can read as an event of the journal, and the subject it comes on.
pub(super) fn forged(number: u64, dice: &mut Dice) -> (String, String) {
    let types = [
        "OrderCreated",
        "PaymentProcessed",
        "InventoryReserved",
        "OutOfStock",
    ];
    let event_type = dice.pick(&types).copied().unwrap_or_default();
    let id = EventId::derived("world", "forged", &dice.below(u64::MAX).to_string());
    let body = match dice.below(2) {
        0 => "no event at all".to_owned(),
        _ => event(event_type, id, &json!({"orderId": "ORD-1"})).to_string(),
    };
    (format!("evt.checkout.{event_type}.{FORGED}{number}"), body)
}

/// How the ids of entities begin that nobody but a forger writes to.
pub(super) const FORGED: &str = "FORGED-";

fn event(event_type: &str, event_id: EventId, payload: &Value) -> Value {
    json!({"eventId": event_id, "eventType": event_type, "timestamp": "2027-01-15T08:00:00Z", "payload": payload})
}

/// A number of minor units as JSON writes an amount.
fn amount(minor: u64) -> Value {
    let text = format!("{}.{:02}", minor / 100, minor % 100);
    serde_json::from_str(&text).unwrap_or(Value::Null)
}
