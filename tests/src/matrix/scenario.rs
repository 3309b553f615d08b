use std::{fmt, ops::RangeInclusive};

use engine::faults::{At, Happening, Point};
use serde_json::{Value, json};

use crate::harness::{cancellation, order, order_with};

/// A way for an order to go: what is published for it, and what the world does to it beside the blows.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What is published, in this order.
    pub messages: fn(&str) -> Vec<Message>,
    /// How its effects fail by themselves.
    pub world: fn(&At) -> Happening,
    /// Whether an order comes of it, which has to end.
    pub has_saga: bool,
    /// How many dead letters come of it.
    pub letters: RangeInclusive<usize>,
}

/// A subject and what is published there.
pub type Message = (String, Vec<u8>);

/// The most of a product that is on hand of `PROD-RARE`: nobody gets more.
const TOO_MANY: u32 = 10_000;

impl Scenario {
    /// All of them. Together they bring about every event of the checkout, and every way for a message to end.
    pub const ALL: &[Self] = &[
        Self::saga("completed", |id| vec![inbox(&order(id))]),
        Self::saga("card declined", |id| vec![inbox(&declined(id))]),
        Self::saga("out of stock", |id| vec![inbox(&rare(order(id)))]),
        Self::saga("declined and out of stock", |id| vec![inbox(&rare(declined(id)))]),
        Self::saga("shipment refused", |id| {
            vec![inbox(&order_with(id, "/shippingAddress/zip", "00000"))]
        }),
        Self {
            letters: 0..=1, // with two blows it may come too late
            ..Self::saga("cancelled on request", |id| {
                let slow = order_with(id, "/paymentMethod", "tok_delay_3000");
                vec![inbox(&slow), inbox(&cancellation(id, "changed my mind"))]
            })
        },
        Self {
            letters: 0..=1, // with two blows it may come too late
            ..Self::saga("cancelled before it came", |id| {
                let slow = order_with(id, "/paymentMethod", "tok_delay_4500");
                vec![inbox(&cancellation(id, "at once")), inbox(&slow)]
            })
        },
        Self::saga("timed out", |id| {
            vec![inbox(&order_with(id, "/paymentMethod", "tok_delay_12000"))]
        }),
        Self::failing(
            "payment fails once",
            |id| vec![inbox(&order(id))],
            |at| {
                lose(
                    at,
                    "checkout-payment",
                    at.headers.get("Jetsaga-Attempt").is_none(),
                )
            },
        ),
        Self::failing(
            "payment fails to the end",
            |id| vec![inbox(&order(id))],
            |at| {
                lose(
                    at,
                    "checkout-payment",
                    at.visit == 1 && at.subject.contains("OrderCreated"),
                )
            },
        ),
        Self::failing("refund fails to the end, and then not", stuck_refund, |at| {
            let attempts = at
                .headers
                .get("Jetsaga-Attempt")
                .and_then(|n| n.as_str().parse::<u32>().ok());
            lose(
                at,
                "checkout-payment",
                at.subject.contains("ShippingFailed") && attempts < Some(4),
            )
        }),
        Self {
            has_saga: false,
            letters: 1..=1,
            ..Self::saga("no event", |id| {
                vec![(
                    "in.checkout.OrderCreated".to_owned(),
                    format!("this is no event {id}").into(),
                )]
            })
        },
        Self {
            has_saga: false,
            letters: 4..=4, // everybody who hears of new orders writes one
            ..Self::saga("no event in the journal", |id| {
                vec![(
                    format!("evt.checkout.OrderCreated.{id}"),
                    format!("nor is this {id}").into(),
                )]
            })
        },
        Self {
            letters: 1..=1,
            ..Self::saga("another order of the same name", |id| {
                let mut other = order_with(id, "/customerId", "CUST-OTHER");
                other["eventId"] = json!(uuid_of(id));
                vec![inbox(&order(id)), inbox(&order(id)), inbox(&other)]
            })
        },
    ];

    const fn saga(name: &'static str, messages: fn(&str) -> Vec<Message>) -> Self {
        Self::failing(name, messages, |_| Happening::Nothing)
    }

    const fn failing(
        name: &'static str,
        messages: fn(&str) -> Vec<Message>,
        world: fn(&At) -> Happening,
    ) -> Self {
        Self {
            name,
            messages,
            world,
            has_saga: true,
            letters: 0..=0,
        }
    }
}

fn inbox(event: &Value) -> Message {
    let event_type = event["eventType"].as_str().unwrap_or_default();
    (format!("in.checkout.{event_type}"), event.to_string().into())
}

fn declined(id: &str) -> Value {
    order_with(id, "/paymentMethod", "tok_decline")
}

fn rare(mut event: Value) -> Value {
    event["payload"]["items"][0] = json!({"productId": "PROD-RARE", "quantity": TOO_MANY});
    event
}

fn stuck_refund(id: &str) -> Vec<Message> {
    vec![inbox(&order_with(id, "/shippingAddress/zip", "00000"))]
}

fn uuid_of(id: &str) -> String {
    jetsaga::EventId::derived("test", id, "another").to_string()
}

/// The answer to an effect of `consumer` is lost, if `when`.
fn lose(at: &At, consumer: &str, when: bool) -> Happening {
    if at.consumer == consumer && at.point == Point::AfterEffect && when {
        Happening::Lost
    } else {
        Happening::Nothing
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
