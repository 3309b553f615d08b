use std::path::Path;

use anyhow::Context as _;
use checkout::{Address, Item, Money, OrderCreated, order};
use jetsaga::{Event, EventId, Nats, Payload, Token, now};

/// An order that the demonstration places.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) id: Token,
    pub(super) event_id: EventId,
    /// The event as it is published.
    pub(super) body: Vec<u8>,
    /// How it has to end.
    pub(super) ships: bool,
}

/// How many in a hundred go wrong, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub(super) declined: u8,
    pub(super) out_of_stock: u8,
    pub(super) undeliverable: u8,
}

/// A product that nobody ever stocks.
const SOLD_OUT: &str = "PROD-SOLD-OUT";

/// `count` orders, the same for the same seed.
pub(super) fn make(count: u32, rates: Rates, products: &[Token], seed: u64) -> Vec<Order> {
    let mut chance = fastrand::Rng::with_seed(seed);
    (1..=count)
        .filter_map(|n| one(n, rates, products, &mut chance))
        .collect()
}

fn one(n: u32, rates: Rates, products: &[Token], chance: &mut fastrand::Rng) -> Option<Order> {
    let roll = chance.u8(0..100);
    let declined = roll < rates.declined;
    let sold_out = !declined && roll < rates.declined.saturating_add(rates.out_of_stock);
    let undeliverable = !declined
        && !sold_out
        && roll
            < rates
                .declined
                .saturating_add(rates.out_of_stock)
                .saturating_add(rates.undeliverable);
    let mut items: Vec<Item> = Vec::new();
    for product_id in products.iter().filter(|p| p.as_str() != "PROD-RARE").take(2) {
        items.push(Item {
            product_id: product_id.clone(),
            quantity: chance.u32(1..=3),
            unit_price: None,
        });
    }
    if sold_out {
        items.push(Item {
            product_id: Token::new(SOLD_OUT).ok()?,
            quantity: 1,
            unit_price: None,
        });
    }
    let id = Token::new(&format!("DEMO-{n}")).ok()?;
    let zip = if undeliverable { "00000" } else { "12345" };
    let order = OrderCreated {
        order_id: id.clone(),
        customer_id: Token::new(&format!("CUST-{}", chance.u32(1..1000))).ok()?,
        items,
        total_amount: Money::from_minor(chance.u64(100..100_000))?,
        shipping_address: Address {
            street: "123 Main St".into(),
            city: "Anytown".into(),
            zip: zip.into(),
        },
        payment_method: if declined {
            Some(Token::new("tok_decline").ok()?)
        } else {
            None
        },
    };
    let event_id = EventId::derived("demo", id.as_str(), &chance.u64(..).to_string());
    let payload = Payload::of(&order).ok()?;
    let event = Event::<()>::new(event_id, Token::new("OrderCreated").ok()?, now(), payload);
    let body = serde_json::to_vec(&event).ok()?;
    Some(Order {
        id,
        event_id,
        body,
        ships: !declined && !sold_out && !undeliverable,
    })
}

/// The documented order, as the file has it.
pub(super) fn documented(file: &Path) -> anyhow::Result<Order> {
    let body = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let event: Event<()> =
        serde_json::from_slice(&body).with_context(|| format!("{} holds no event", file.display()))?;
    let order = order::accept(&event.payload)?;
    Ok(Order {
        id: order.order_id,
        event_id: event.event_id,
        body,
        ships: true,
    })
}

/// Publishes an order as any NATS client would, and waits until the inbox has it.
pub(super) async fn publish(nats: &Nats, body: Vec<u8>) -> anyhow::Result<()> {
    let stored = nats
        .jetstream
        .publish("in.checkout.OrderCreated", body.into())
        .await?;
    stored.await.context("the inbox did not take an order")?;
    Ok(())
}
