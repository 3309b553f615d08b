use checkout::Money;
use projection::Heard;
use saga::{Payload, State, Token};
use serde::Deserialize;

/// What the read models need to know of an order. Fields that were added later do not disturb it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Placed {
    pub(crate) customer_id: Token,
    pub(crate) items: Vec<Line>,
    pub(crate) total_amount: Money,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    pub(crate) quantity: u32,
}

/// The amount in the payload of a charge or a refund.
#[derive(Debug, Deserialize)]
struct Amount {
    amount: Money,
}

/// The saga after the event, and the order that it is about.
pub(crate) fn saga_of(heard: &Heard) -> anyhow::Result<(State, Placed)> {
    let state: State = serde_json::from_str(heard.state.get())?;
    let placed = state.start.payload.read()?;
    Ok((state, placed))
}

/// The amount of a charge or a refund, in minor units.
pub(crate) fn amount(payload: &Payload) -> anyhow::Result<i64> {
    Ok(minor(payload.read::<Amount>()?.amount))
}

/// Money as a table keeps it: minor units.
pub(crate) fn minor(money: Money) -> i64 {
    i64::try_from(money.minor()).unwrap_or(i64::MAX) // at most ten million
}
