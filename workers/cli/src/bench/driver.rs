use std::{collections::HashMap, time::Duration};

use anyhow::Context as _;
use async_nats::{Client, HeaderMap, HeaderValue, Request, header};
use bytes::Bytes;
use checkout::{OrderCancelled, OrderShipped};
use futures_util::{StreamExt as _, stream, stream::FuturesUnordered};
use jetsaga::{Fact as _, Journal, Token};
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
    client: Client,
    journal: Journal,
    created: Option<Bytes>,
    /// The share of sagas whose trace is kept; `None` if they have no trace.
    sampled: Option<f64>,
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
        Ok(Self {
            orders,
            client: site.nats.client.clone(),
            journal: Journal::new(&site.nats),
            created,
            sampled: None,
            runs: 0,
        })
    }

    /// Has every saga come with the trace context of whoever placed it, and this share of them be kept.
    pub(super) const fn sample(&mut self, share: f64) {
        self.sampled = Some(share);
    }

    /// Starts `sagas` sagas, `concurrency` in flight at any time, and waits until all are final.
    ///
    /// It hears the final events by a plain subscription, which the server serves while it stores them: cheaper than
    /// a consumer, and at most one write early.
    pub(super) async fn run(&mut self, sagas: u64, concurrency: usize, mix: Mix) -> anyhow::Result<Run> {
        self.runs += 1;
        let client = &self.client;
        let heard = |event: &str| format!("evt.checkout.{event}.*");
        let shipped = client.subscribe(heard(OrderShipped::TYPE)).await?;
        let cancelled = client.subscribe(heard(OrderCancelled::TYPE)).await?;
        client.flush().await?;
        let mut finals = stream::select(shipped, cancelled);
        let mut appends = FuturesUnordered::new();
        let (mut started, mut since, mut latencies) = (0, HashMap::new(), Vec::new());
        let begun = Instant::now();
        while (latencies.len() as u64) < sagas {
            while started < sagas && since.len() < concurrency {
                let number = mix.number(started);
                since.insert(number, Instant::now());
                appends.push(self.place(number));
                started += 1;
            }
            tokio::select! {
                Some(placed) = appends.next() => placed?,
                message = timeout(PATIENCE, finals.next()) => {
                    let message = message.context("a saga has not ended after thirty seconds")?;
                    let subject = message.context("the subscription ended")?.subject;
                    let begun = number_of(&subject).and_then(|number| since.remove(&number));
                    latencies.extend(begun.map(|begun| begun.elapsed()));
                }
            }
        }
        let took = begun.elapsed();
        while let Some(placed) = appends.next().await {
            placed?;
        }
        Ok(Run { took, latencies })
    }

    /// Appends the first event of a saga.
    async fn place(&self, number: u64) -> anyhow::Result<()> {
        let id = order_id(self.runs, number);
        if let Some(body) = &self.created {
            return self.append(&id, body.clone()).await;
        }
        let token = Token::new(&id)?;
        let event = self.orders.created(&token)?;
        if self.sampled.is_some() {
            return self.append(&id, serde_json::to_vec(&event)?.into()).await;
        }
        self.journal
            .append(&self.orders.entity(&token), 0, &event)
            .await?;
        Ok(())
    }

    /// The append by hand.
    async fn append(&self, id: &str, body: Bytes) -> anyhow::Result<()> {
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
        if let Some(share) = self.sampled {
            let (trace, span) = (fastrand::u128(1..), fastrand::u64(1..));
            let kept = u8::from(fastrand::f64() < share);
            headers.insert("traceparent", format!("00-{trace:032x}-{span:016x}-{kept:02x}"));
        }
        let request = Request::new().headers(headers).payload(body);
        let answer = self.client.send_request(subject, request).await?;
        let text = String::from_utf8_lossy(&answer.payload);
        anyhow::ensure!(!text.contains("\"error\""), "{id} was not placed: {text}");
        Ok(())
    }
}

/// The number of an order, from a subject that ends in its id.
fn number_of(subject: &str) -> Option<u64> {
    subject.rsplit_once('-')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_names_its_order() {
        let subject = format!("evt.checkout.OrderShipped.{}", order_id(3, 1204));
        assert_eq!(number_of(&subject), Some(1204));
    }
}
