use std::time::Duration;

use anyhow::Context as _;
use async_nats::{HeaderMap, HeaderValue, Request, header};
use bytes::Bytes;
use checkout::{OrderCancelled, OrderShipped};
use futures_util::{StreamExt as _, stream, stream::FuturesUnordered};
use jetsaga::{Fact as _, Journal, Plan, Token};
use tokio::time::{Instant, timeout};

use super::{
    bare::Book,
    orders::{Mix, Orders, order_id},
    site::{Side, Site},
};

/// A saga that does not end for this long ends the benchmark.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the driver plays: the ingress, by appending the first event of every saga; and the customer, who waits for
/// its last.
pub(super) struct Driver {
    orders: Orders,
    journal: Journal,
    created: Option<Bytes>,
    runs: u32,
}

/// How long a run took.
pub(super) struct Run {
    /// From the first append to the last final event.
    pub(super) took: Duration,
    /// Of each saga, from the append of its first event to its final one, as the driver heard it.
    pub(super) latencies: Vec<Duration>,
}

impl Driver {
    /// The driver of this site.
    pub(super) async fn new(site: &Site) -> anyhow::Result<Self> {
        let orders = Orders::new()?;
        let created = match site.side {
            Side::Engine => None,
            Side::Bare => Some(Book::new(&orders)?.created()),
        };
        let journal = Journal::open(&site.nats).await?;
        Ok(Self {
            orders,
            journal,
            created,
            runs: 0,
        })
    }

    /// Starts `sagas` sagas, `concurrency` in flight at any time, and waits until all are final.
    ///
    /// It hears the final events by a plain subscription, which the server serves while it stores them: cheaper than
    /// a consumer, and at most one write early.
    pub(super) async fn run(&mut self, sagas: u64, concurrency: usize, mix: Mix) -> anyhow::Result<Run> {
        self.runs += 1;
        let client = &self.journal.nats().client;
        let heard = |event: &str| format!("evt.checkout.{event}.*");
        let shipped = client.subscribe(heard(OrderShipped::TYPE)).await?;
        let cancelled = client.subscribe(heard(OrderCancelled::TYPE)).await?;
        client.flush().await?;
        let mut finals = stream::select(shipped, cancelled);
        let mut appends = FuturesUnordered::new();
        let (mut open, mut latencies) = (Window::default(), Vec::new());
        let begun = Instant::now();
        while (latencies.len() as u64) < sagas {
            while open.started < sagas && open.in_flight() < concurrency {
                let number = mix.number(open.start());
                appends.push(self.place(number));
            }
            tokio::select! {
                Some(placed) = appends.next() => placed?,
                message = timeout(PATIENCE, finals.next()) => {
                    let message = message.context("a saga has not ended after thirty seconds")?;
                    let subject = message.context("the subscription ended")?.subject;
                    latencies.extend(open.finish(self.runs, &subject, mix));
                }
            }
        }
        Ok(Run {
            took: begun.elapsed(),
            latencies,
        })
    }

    /// Appends the first event of a saga.
    async fn place(&self, number: u64) -> anyhow::Result<()> {
        let id = order_id(self.runs, number);
        match &self.created {
            None => {
                let id = Token::new(&id)?;
                let event = self.orders.created(&id)?;
                self.journal.append(&self.orders.entity(&id), 0, &event).await?;
            }
            Some(body) => {
                let subject = format!("evt.checkout.OrderCreated.{id}");
                let mut headers = HeaderMap::new();
                headers.insert(
                    header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
                    HeaderValue::from(0_u64),
                );
                headers.insert(
                    "Nats-Expected-Last-Subject-Sequence-Subject",
                    format!("evt.checkout.*.{id}"),
                );
                let request = Request::new().headers(headers).payload(body.clone());
                let answer = self.journal.nats().client.send_request(subject, request).await?;
                let text = String::from_utf8_lossy(&answer.payload);
                anyhow::ensure!(!text.contains("\"error\""), "{id} was not placed: {text}");
            }
        }
        Ok(())
    }

    pub(super) const fn plan(&self) -> &Plan {
        &self.orders.plan
    }
}

/// Which sagas of a run are in flight, and since when.
#[derive(Default)]
struct Window {
    started: u64,
    finished: u64,
    since: std::collections::HashMap<u64, Instant>,
}

impl Window {
    const fn in_flight(&self) -> usize {
        (self.started - self.finished) as usize
    }

    fn start(&mut self) -> u64 {
        let n = self.started;
        self.started += 1;
        n
    }

    fn finish(&mut self, _: u32, _: &str, _: Mix) -> Option<Duration> {
        None
    }
}
