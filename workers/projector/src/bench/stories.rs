use checkout::{
    Address, Checkout, InventoryReserved, Item, Money, OrderCancelled, OrderCreated, OrderShipped,
    OutOfStock, PaymentProcessed, PaymentRefunded, stock::Product,
};
use fastrand::Rng;
use jetsaga::{
    Event, EventId, Fact, Heard, Payload, Plan, State, Timestamp, Token,
    saga::{Direction, StepStuck, evolve},
    subject::EntitySubject,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// Plausible histories of orders, made without any worker: the same seed makes the same ones.
///
/// Of twenty orders thirteen are shipped, four are cancelled for want of stock, one is stuck and two are under way. Some
/// customers order often and most order seldom.
#[derive(Debug)]
pub struct Stories {
    plan: Plan,
    rng: Rng,
    customers: u32,
    placed: u64,
    sold: u64,
}

/// One event of a story, with the state after it.
#[derive(Clone, Debug)]
pub struct Told {
    /// What it happened to.
    pub entity: EntitySubject,
    /// What happened.
    pub event: Event<Box<RawValue>>,
}

/// One order as it is told.
struct Order<'a> {
    plan: &'a Plan,
    id: Token,
    state: Option<State>,
    told: Vec<Told>,
}

impl Stories {
    /// Stories of as many customers.
    ///
    /// # Errors
    /// When the checkout is no plan.
    pub fn new(seed: u64, customers: u32) -> anyhow::Result<Self> {
        Ok(Self {
            plan: Plan::of::<Checkout>()?,
            rng: Rng::with_seed(seed),
            customers: customers.max(1),
            placed: 0,
            sold: 0,
        })
    }

    /// The next order, from its first event to its last, with what it does to the stock of one product.
    ///
    /// # Errors
    /// When an event cannot follow the one before it.
    pub fn order(&mut self) -> anyhow::Result<Vec<Told>> {
        self.placed += 1;
        let id = Token::new(&format!("ORD-{:08}-{:04x}", self.placed, self.rng.u16(..)))?;
        let placed = self.placement(&id)?;
        let paid = PaymentProcessed {
            order_id: id.clone(),
            payment_id: format!("pay-{id}"),
            amount: placed.total_amount,
        };
        let mut order = Order {
            plan: &self.plan,
            id: id.clone(),
            state: None,
            told: Vec::with_capacity(5),
        };
        order.tell(OrderCreated::TYPE, &placed, None)?;
        order.tell(PaymentProcessed::TYPE, &paid, None)?;
        match self.rng.u8(..20) {
            0..13 => {
                order.tell(
                    InventoryReserved::TYPE,
                    &InventoryReserved { order_id: id.clone() },
                    None,
                )?;
                let tracking_id = format!("parcel-{id}");
                order.tell(
                    OrderShipped::TYPE,
                    &OrderShipped {
                        order_id: id,
                        tracking_id,
                    },
                    None,
                )?;
            }
            13..17 => cancel(&mut order, &paid)?,
            17 => order.stuck("inventory", "the warehouse does not answer")?,
            _ => {}
        }
        let mut told = order.told;
        told.push(self.stock()?);
        Ok(told)
    }

    /// So many orders, mixed.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub fn orders(&mut self, count: u64) -> anyhow::Result<Vec<Told>> {
        let stories = (0..count)
            .map(|_| self.order())
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(mixed(stories))
    }

    fn placement(&mut self, id: &Token) -> anyhow::Result<OrderCreated> {
        let customer = match self.rng.bool() {
            true => self.rng.u32(..self.customers.div_ceil(100)),
            false => self.rng.u32(..self.customers),
        };
        let mut line = || -> anyhow::Result<Item> {
            Ok(Item {
                product_id: Token::new(&format!("PROD-{}", self.rng.u16(..1000)))?,
                quantity: self.rng.u32(1..=5),
                unit_price: None,
            })
        };
        let items = vec![line()?, line()?];
        Ok(OrderCreated {
            order_id: id.clone(),
            customer_id: Token::new(&format!("CUST-{customer}"))?,
            items,
            total_amount: Money::from_minor(self.rng.u64(100..50_000)).unwrap_or_default(),
            shipping_address: Address {
                street: "123 Main St".to_owned(),
                city: "Anytown".to_owned(),
                zip: "12345".to_owned(),
            },
            payment_method: None,
        })
    }

    fn stock(&mut self) -> anyhow::Result<Told> {
        self.sold += 1;
        let sku = Token::new(&format!("PROD-{}", self.rng.u16(..1000)))?;
        let product = Product {
            on_hand: 10_000_000_u64.saturating_sub(self.sold),
            shipped: self.sold,
            ..Product::default()
        };
        let payload = serde_json::json!({"sku": sku, "orderId": "ORD-1", "quantity": 1});
        let event =
            event("StockShipped", &sku, self.sold, &payload)?.with_state(Some(to_raw_value(&product)?));
        let entity = EntitySubject::new(&Token::new("stock")?, &sku);
        Ok(Told { entity, event })
    }
}

/// There is no stock: what was paid goes back.
fn cancel(order: &mut Order<'_>, paid: &PaymentProcessed) -> anyhow::Result<()> {
    let (order_id, reason) = (order.id.clone(), "PROD-1 is out of stock".to_owned());
    let short = OutOfStock {
        order_id: order_id.clone(),
        reason: reason.clone(),
    };
    order.tell(OutOfStock::TYPE, &short, Some(&reason))?;
    let refunded = PaymentRefunded {
        order_id: order_id.clone(),
        refund_id: format!("refund-{order_id}"),
        amount: paid.amount,
    };
    order.tell(PaymentRefunded::TYPE, &refunded, None)?;
    let cancelled = OrderCancelled {
        order_id,
        reason: reason.clone(),
    };
    order.tell(OrderCancelled::TYPE, &cancelled, Some(&reason))
}

impl Order<'_> {
    fn tell(
        &mut self,
        event_type: &str,
        payload: &impl Serialize,
        reason: Option<&str>,
    ) -> anyhow::Result<()> {
        let number = u64::try_from(self.told.len())?;
        let mut event = event(event_type, &self.id, number, payload)?;
        event.reason = reason.map(str::to_owned);
        let state = evolve(self.plan, self.state.as_ref(), &event, &self.id, 1)?;
        let event = event.with_state(Some(to_raw_value(&state)?));
        let entity = EntitySubject::new(&self.plan.saga, &self.id);
        self.told.push(Told { entity, event });
        self.state = Some(state);
        Ok(())
    }

    fn stuck(&mut self, step: &str, reason: &str) -> anyhow::Result<()> {
        let stuck = StepStuck {
            step: Token::new(step)?,
            direction: Direction::Forward,
            reason: reason.to_owned(),
        };
        self.tell("StepStuck", &stuck, Some(reason))
    }
}

fn event(event_type: &str, id: &Token, number: u64, payload: &impl Serialize) -> anyhow::Result<Event<()>> {
    let event_id = EventId::derived("story", id.as_str(), &format!("{event_type}.{number}"));
    let time = Timestamp::EPOCH.after(std::time::Duration::from_secs(1_790_000_000 + number));
    Ok(Event::new(
        event_id,
        Token::new(event_type)?,
        time,
        Payload::of(payload)?,
    ))
}

/// The first events of all stories, then the second ones, and so on: orders that are under way at once.
fn mixed(stories: Vec<Vec<Told>>) -> Vec<Told> {
    let mut stories: Vec<_> = stories.into_iter().map(Vec::into_iter).collect();
    let mut mixed = Vec::new();
    loop {
        let before = mixed.len();
        mixed.extend(stories.iter_mut().filter_map(Iterator::next));
        if mixed.len() == before {
            return mixed;
        }
    }
}

impl Told {
    /// Where it is published.
    pub fn subject(&self) -> String {
        self.entity.event(&self.event.event_type)
    }

    /// As it is heard if it was stored at this place of the journal, at this time.
    pub fn heard(self, sequence: u64, stored_at: Timestamp) -> Heard {
        let mut event = self.event;
        let state = event.state.take().unwrap_or_default();
        Heard {
            kind: self.entity.kind().clone(),
            id: self.entity.id().clone(),
            event: event.with_state(None),
            state,
            sequence,
            stored_at,
        }
    }

    /// What is published.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn body(&self) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&self.event)?)
    }
}
