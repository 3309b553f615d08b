//! What is read and written by other crates' types, as the OpenAPI document describes it.
#![expect(
    dead_code,
    reason = "shapes are described, never made: the types behind them are elsewhere"
)]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

/// An order to be placed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({
    "orderId": "ORD-987654", "customerId": "CUST-12345",
    "items": [{"productId": "PROD-A1", "quantity": 2}, {"productId": "PROD-B2", "quantity": 1}],
    "totalAmount": 75.50, "shippingAddress": {"street": "123 Main St", "city": "Anytown", "zip": "12345"},
}))]
pub(crate) struct NewOrder {
    /// 1 to 64 characters of A-Z a-z 0-9 _ -; made by the gateway if absent.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    order_id: Option<String>,
    /// Who orders.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    customer_id: String,
    /// What.
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<OrderItem>,
    /// What it costs altogether: at most two decimals; the sum of the items if each has a price.
    #[schema(minimum = 0, maximum = 10_000_000)]
    total_amount: f64,
    /// Where it goes.
    shipping_address: PostalAddress,
    /// The payment provider's token of the card to charge.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    payment_method: Option<String>,
}

/// One line of an order.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct OrderItem {
    /// The product.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    product_id: String,
    /// How many.
    #[schema(minimum = 1, maximum = 10_000)]
    quantity: u32,
    /// What one costs.
    #[schema(minimum = 0, maximum = 10_000_000)]
    unit_price: Option<f64>,
}

/// A postal address; no line is empty or longer than 200 characters.
#[derive(ToSchema)]
pub(crate) struct PostalAddress {
    /// Street and number.
    street: String,
    /// City.
    city: String,
    /// Postal code.
    zip: String,
}

/// All that is known of an order after one of its events.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct OrderState {
    /// `checkout`.
    saga: String,
    /// The order.
    id: String,
    /// `running`, `compensating`, `completed` or `cancelled`.
    status: String,
    /// How many events it has.
    events: u64,
    /// The sequence of its first event; absent in that event itself.
    first_sequence: Option<u64>,
    /// How it began: event, time, deadline and the order itself.
    start: Value,
    /// What turned it to compensation.
    turned: Option<Value>,
    /// Every step by name, with where it stands and its outcomes.
    #[schema(value_type = BTreeMap<String, Value>)]
    steps: BTreeMap<String, Value>,
}

/// An event.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({
    "eventId": "a1b2c3d4-e5f6-7890-1234-567890abcdef", "eventType": "OrderShipped", "timestamp": "2023-10-27T10:30:00Z",
    "payload": {"orderId": "ORD-987654", "trackingId": "TRK-1"},
}))]
pub(crate) struct WireEvent {
    /// Unique over all events.
    #[schema(format = "uuid")]
    event_id: String,
    /// What happened.
    event_type: String,
    /// When, by the writer's clock.
    #[schema(format = DateTime)]
    timestamp: String,
    /// What a reader of this event type needs to know.
    payload: Value,
    /// The event that made its writer act.
    #[schema(format = "uuid")]
    causation_id: Option<String>,
    /// How many attempts the outcome took.
    attempt: Option<u32>,
    /// Why, for refusals, turns and cancellations.
    reason: Option<String>,
}

/// One page of orders.
#[derive(ToSchema)]
pub(crate) struct OrderList {
    /// The orders.
    items: Vec<OrderSummary>,
    /// `cursor` of the next page; absent on the last one.
    next: Option<String>,
}

/// An order in a list.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct OrderSummary {
    /// Which one.
    order_id: String,
    /// Whose.
    customer_id: String,
    /// `running`, `compensating`, `stuck`, `completed` or `cancelled`.
    status: String,
    /// What it costs.
    total: f64,
    /// How many lines it has.
    items: u64,
    /// How many pieces altogether.
    pieces: u64,
    /// What was charged for it.
    charged: f64,
    /// What was given back of that.
    refunded: f64,
    /// When it was placed.
    #[schema(format = DateTime)]
    created_at: String,
    /// When its last event was stored.
    #[schema(format = DateTime)]
    updated_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Why it was turned, or what holds it up.
    reason: Option<String>,
    /// The sequence of its last event in the journal.
    sequence: u64,
}

/// Revenue by day.
#[derive(ToSchema)]
pub(crate) struct RevenueList {
    /// The days, oldest first.
    items: Vec<RevenueOfDay>,
}

/// A day's money and orders.
#[derive(ToSchema)]
pub(crate) struct RevenueOfDay {
    /// The day, in UTC.
    #[schema(format = Date)]
    day: String,
    /// What came in.
    charged: f64,
    /// What went back.
    refunded: f64,
    /// The first less the second.
    net: f64,
    /// Charges made.
    charges: u64,
    /// Refunds made.
    refunds: u64,
    /// Orders placed.
    orders: u64,
    /// Orders shipped.
    completed: u64,
    /// Orders taken back.
    cancelled: u64,
}
