use checkout::{
    Checkout, InventoryReleased, InventoryReserved, OrderCancelled, OrderCreated, OrderShipped, OutOfStock,
    PaymentProcessed, PaymentRefunded,
};
use jetsaga::{Event, EventId, Fact, Payload, Plan, State, Token, now, saga::evolve, subject::EntitySubject};
use serde::Serialize;

/// Which orders a run places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Mix {
    /// Every tenth order is out of stock.
    Tenth,
    /// All are in stock.
    Completed,
    /// None is.
    Cancelled,
}

impl Mix {
    /// The number of the `n`th order of a run: numbers that end in 9 are out of stock.
    pub(super) const fn number(self, n: u64) -> u64 {
        match self {
            Self::Tenth => n,
            Self::Completed => n / 9 * 10 + n % 9,
            Self::Cancelled => n * 10 + 9,
        }
    }

    /// How many of the first `sagas` orders are cancelled.
    pub(super) const fn cancelled(self, sagas: u64) -> u64 {
        match self {
            Self::Tenth => sagas / 10,
            Self::Completed => 0,
            Self::Cancelled => sagas,
        }
    }
}

/// The id of order `number` of `run`; all ids are equally long.
pub(super) fn order_id(run: u32, number: u64) -> String {
    format!("B{run:03}-{number:08}")
}

/// True for orders that inventory refuses: by the id alone, so that every run has the same ones.
pub(super) fn is_out_of_stock(id: &str) -> bool {
    id.ends_with('9')
}

/// The orders of the benchmark: the documented order under many ids.
pub(super) struct Orders {
    pub(super) plan: Plan,
    order: OrderCreated,
}

impl Orders {
    /// Orders of two items.
    pub(super) fn new() -> anyhow::Result<Self> {
        let order = serde_json::json!({
            "orderId": "ORD-1",
            "customerId": "CUST-12345",
            "items": [{"productId": "PROD-A1", "quantity": 2}, {"productId": "PROD-B2", "quantity": 1}],
            "totalAmount": 75.5,
            "shippingAddress": {"street": "123 Main St", "city": "Anytown", "zip": "12345"},
        });
        let order = serde_json::from_str(&order.to_string())?;
        let plan = Plan::of::<Checkout>()?;
        Ok(Self { plan, order })
    }

    /// The order under this id.
    pub(super) fn order(&self, id: &Token) -> OrderCreated {
        OrderCreated {
            order_id: id.clone(),
            ..self.order.clone()
        }
    }

    /// The first event of a saga, as the order worker writes it, but without a deadline.
    pub(super) fn created(&self, id: &Token) -> anyhow::Result<Event<State>> {
        let event = event_of(id, &self.order(id))?;
        let state = evolve(&self.plan, None, &event, id, 0)?;
        Ok(event.with_state(Some(state)))
    }

    /// Where the events of a saga are.
    pub(super) fn entity(&self, id: &Token) -> EntitySubject {
        EntitySubject::new(&self.plan.saga, id)
    }
}

/// The event of `fact` about the saga `id`, without the state.
pub(super) fn event_of<F: Fact>(id: &Token, fact: &F) -> anyhow::Result<Event<()>> {
    let event_id = EventId::derived("checkout", id.as_str(), F::TYPE);
    let event_type = Token::new(F::TYPE)?;
    Ok(Event::new(event_id, event_type, now(), Payload::of(fact)?))
}

/// What payment says to every order.
pub(super) fn paid(order: &OrderCreated) -> PaymentProcessed {
    PaymentProcessed {
        order_id: order.order_id.clone(),
        payment_id: format!("PAY-{}", order.order_id),
        amount: order.total_amount,
    }
}

/// What payment says when it gives the money back.
pub(super) fn refunded(paid: &PaymentProcessed) -> PaymentRefunded {
    PaymentRefunded {
        order_id: paid.order_id.clone(),
        refund_id: format!("REF-{}", paid.order_id),
        amount: paid.amount,
    }
}

/// What inventory says to an order that is in stock.
pub(super) const fn reserved(order_id: Token) -> InventoryReserved {
    InventoryReserved { order_id }
}

/// What inventory says to one that is not.
pub(super) fn out_of_stock(order_id: Token) -> OutOfStock {
    let reason = "PROD-A1 is out of stock".to_owned();
    OutOfStock { order_id, reason }
}

/// What inventory says when it puts the items back.
pub(super) const fn released(order_id: Token) -> InventoryReleased {
    InventoryReleased { order_id }
}

/// What shipping says.
pub(super) fn shipped(order_id: Token) -> OrderShipped {
    let tracking_id = format!("TRK-{order_id}");
    OrderShipped {
        order_id,
        tracking_id,
    }
}

/// What the owner says at the end of a compensation.
pub(super) fn cancelled(order_id: Token) -> OrderCancelled {
    let reason = out_of_stock(order_id.clone()).reason;
    OrderCancelled { order_id, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_out_of_stock_and_the_pure_mixes_are_pure() {
        let refused = |mix: Mix| {
            (0..100)
                .filter(|n| is_out_of_stock(&order_id(1, mix.number(*n))))
                .count()
        };
        assert_eq!(refused(Mix::Tenth), 10);
        assert_eq!(refused(Mix::Completed), 0);
        assert_eq!(refused(Mix::Cancelled), 100);
        for mix in [Mix::Tenth, Mix::Completed, Mix::Cancelled] {
            assert_eq!(mix.cancelled(100), refused(mix) as u64);
        }
    }
}
