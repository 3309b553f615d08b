use std::time::Duration;

use checkout::books::{Answered, Books, Expected, Request, Source};
use jetsaga::{Nats, Status, now};
use serde::Serialize;

use super::orders::Order;
use crate::record::{Ledger, Live, until_rest};

/// Whether everything that has to hold does.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    pub(super) completed: u64,
    pub(super) cancelled: u64,
    pub(super) refunded: u64,
    /// Every sentence that does not hold.
    pub(super) violations: Vec<String>,
}

/// The longest that what follows the last end may take: two expiries of a delivery, with room.
const PATIENCE: Duration = Duration::from_secs(60);

impl Verdict {
    pub(super) const fn holds(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Waits until nothing is under way, and checks the books of the whole run. Each order has to end as it should.
pub(super) async fn check(nats: &Nats, provider_url: &str, orders: &[Order]) -> anyhow::Result<Verdict> {
    let rest = until_rest(nats, PATIENCE).await;
    let ledger = Ledger::Provider(provider_url.to_owned());
    let live = Live::open(nats, ledger, rest.is_ok()).await?;
    let mut books = Books::new(live.scope())?;
    live.read(&mut books).await?;
    books.given(Source::History);
    for order in orders {
        books.request(request(order));
    }
    let report = books.close();
    let unrest = rest.err().map(|error| error.to_string());
    let found = report.violations.iter().map(ToString::to_string);
    let ends = orders.iter().filter_map(|order| ends(&books, order));
    Ok(Verdict {
        completed: report.counts.completed,
        cancelled: report.counts.cancelled,
        refunded: report.counts.refunded,
        violations: unrest.into_iter().chain(found).chain(ends).collect(),
    })
}

/// What is wrong with the end of an order, if anything is.
fn ends(books: &Books, order: &Order) -> Option<String> {
    let id = &order.id;
    match books.end(id) {
        None => Some(format!("{id} is not finished")),
        Some(end) if (end == Status::Completed) != order.ships => {
            Some(format!("{id} should ship: {}, but it is {end}", order.ships))
        }
        Some(_) => None,
    }
}

/// The order as it was asked for. The demonstration asks for no answer.
fn request(order: &Order) -> Request {
    Request {
        order_id: Some(order.id.to_string()),
        event_id: Some(order.event_id),
        event_type: "OrderCreated".to_owned(),
        asked_at: now(),
        answered_at: None,
        outcome: Answered::Unknown,
        sequence: None,
        expected: Expected::Good,
    }
}
