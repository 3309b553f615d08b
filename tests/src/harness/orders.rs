use jetsaga::EventId;
use serde_json::{Value, json};

/// An order like the documented one, with this id and an event id of its own.
pub fn order(id: &str) -> Value {
    let event_id = EventId::derived("test", id, "OrderCreated");
    json!({
        "eventId": event_id, "eventType": "OrderCreated", "timestamp": "2023-10-27T10:30:00Z",
        "payload": {
            "orderId": id, "customerId": "CUST-12345",
            "items": [ {"productId": "PROD-A1", "quantity": 2}, {"productId": "PROD-B2", "quantity": 1} ],
            "totalAmount": 75.50,
            "shippingAddress": {"street": "123 Main St", "city": "Anytown", "zip": "12345"},
        },
    })
}

/// The same with one field of the payload set to something else, as a JSON pointer such as `/items/0/quantity`.
pub fn order_with(id: &str, pointer: &str, value: impl Into<Value>) -> Value {
    let mut order = order(id);
    set(&mut order["payload"], pointer, value.into());
    order
}

/// A request to take the order `id` back, for this reason.
pub fn cancellation(id: &str, reason: &str) -> Value {
    let event_id = EventId::derived("test", id, "OrderCancellationRequested");
    json!({
        "eventId": event_id, "eventType": "OrderCancellationRequested", "timestamp": "2023-10-27T10:31:00Z",
        "payload": { "orderId": id, "reason": reason },
    })
}

fn set(target: &mut Value, pointer: &str, value: Value) {
    let mut place = target;
    for part in pointer.split('/').skip(1) {
        place = match part.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[part],
        };
    }
    *place = value;
}
