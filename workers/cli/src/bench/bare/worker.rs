use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use anyhow::Context as _;
use async_nats::{
    Client, HeaderMap, HeaderValue, Request, header,
    jetstream::{self, Message, consumer::PullConsumer},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, future::try_join_all};

use super::{
    super::{counts::Counts, orders::Orders, site::Role},
    book::{Book, Marks},
    counts_of,
};

/// Messages in work at once for each consumer: what the engine takes unless it is told otherwise.
const CONCURRENCY: usize = 256;

/// One role of the checkout, by hand.
pub(super) struct Worker {
    role: Role,
    client: Client,
    jetstream: jetstream::Context,
    orders: Orders,
    book: Book,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    deliveries: AtomicU64,
    acks: AtomicU64,
    appends: AtomicU64,
    refused: AtomicU64,
    reads: AtomicU64,
}

#[derive(serde::Deserialize)]
struct Answer {
    seq: Option<u64>,
    error: Option<Refusal>,
}

#[derive(serde::Deserialize)]
struct Refusal {
    err_code: u64,
}

impl Worker {
    pub(super) async fn connect(role: Role, url: &str) -> anyhow::Result<Self> {
        let client = async_nats::connect(url).await?;
        let orders = Orders::new()?;
        Ok(Self {
            role,
            jetstream: jetstream::new(client.clone()),
            client,
            book: Book::new(&orders)?,
            orders,
            tally: Tally::default(),
        })
    }

    /// Works until an error or the end of the process.
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        let consumers = self.role.consumers(&self.orders.plan);
        let loops = consumers
            .into_iter()
            .map(|(stream, consumer)| self.consume(stream, consumer.durable_name.unwrap_or_default()));
        tokio::try_join!(try_join_all(loops), self.tell_counts())?;
        Ok(())
    }

    async fn consume(&self, stream: &str, name: String) -> anyhow::Result<()> {
        let consumer: PullConsumer = self.jetstream.get_consumer_from_stream(name, stream).await?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(CONCURRENCY)
            .expires(Duration::from_secs(30))
            .heartbeat(Duration::from_secs(10))
            .messages()
            .await?;
        let messages = messages.map_err(anyhow::Error::from);
        messages
            .try_for_each_concurrent(CONCURRENCY, |message| self.handle(message))
            .await
    }

    /// Decides, appends, reads after a conflict, until nothing is owed; then acknowledges.
    async fn handle(&self, message: Message) -> anyhow::Result<()> {
        self.tally.deliveries.fetch_add(1, Relaxed);
        let info = message.info().map_err(anyhow::Error::from_boxed)?;
        let (mut guard, first) = (info.stream_sequence, info.delivered == 1);
        let mut subject = message.subject.split('.').skip(2);
        let (heard, id) = (
            subject.next().unwrap_or_default(),
            subject.next().unwrap_or_default(),
        );
        let mut marks = Marks::of(&message.payload).context("a body without marks")?;
        if !first {
            (guard, marks) = self.read(id).await?;
        }
        while let Some(event) = marks.owed(self.role, heard, id) {
            // An outcome is written after what came between, unless it is there already.
            while let Some((after, body)) = self.book.page(event, marks) {
                match self.append(event, id, guard, body.clone()).await? {
                    Some(sequence) => {
                        (guard, marks) = (sequence, *after);
                        break;
                    }
                    None => (guard, marks) = self.read(id).await?,
                }
            }
        }
        message.ack().await.map_err(anyhow::Error::from_boxed)?;
        self.tally.acks.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Publishes under the guard; `None` if it was stale.
    async fn append(&self, event: &str, id: &str, guard: u64, body: Bytes) -> anyhow::Result<Option<u64>> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            HeaderValue::from(guard),
        );
        headers.insert(
            "Nats-Expected-Last-Subject-Sequence-Subject",
            format!("evt.checkout.*.{id}"),
        );
        let request = Request::new().headers(headers).payload(body);
        let answer = self
            .client
            .send_request(format!("evt.checkout.{event}.{id}"), request)
            .await?;
        let answer: Answer = serde_json::from_slice(&answer.payload)?;
        match (answer.seq, answer.error) {
            (_, Some(refusal)) if [10071, 10164].contains(&refusal.err_code) => {
                self.tally.refused.fetch_add(1, Relaxed);
                Ok(None)
            }
            (Some(sequence), None) => {
                self.tally.appends.fetch_add(1, Relaxed);
                Ok(Some(sequence))
            }
            _ => anyhow::bail!("{event} of {id} was not taken"),
        }
    }

    /// The guard and the marks of the saga's last event.
    async fn read(&self, id: &str) -> anyhow::Result<(u64, Marks)> {
        self.tally.reads.fetch_add(1, Relaxed);
        let subject = format!("$JS.API.DIRECT.GET.EVENTS.evt.checkout.*.{id}");
        let message = self.client.request(subject, Bytes::new()).await?;
        let sequence = message
            .headers
            .as_ref()
            .and_then(|h| h.get(header::NATS_SEQUENCE));
        let sequence = sequence.and_then(|value| value.as_str().parse().ok());
        sequence
            .zip(Marks::of(&message.payload))
            .context("a saga is gone")
    }

    async fn tell_counts(&self) -> anyhow::Result<()> {
        let mut asked = self.client.subscribe(counts_of(self.role)).await?;
        while let Some(message) = asked.next().await {
            let counts = serde_json::to_vec(&self.tally.counts())?;
            if let Some(reply) = message.reply {
                self.client.publish(reply, counts.into()).await?;
            }
        }
        anyhow::bail!("the connection is closed")
    }
}

impl Tally {
    fn counts(&self) -> Counts {
        Counts {
            deliveries: self.deliveries.load(Relaxed),
            acks: self.acks.load(Relaxed),
            appends: self.appends.load(Relaxed),
            refused: self.refused.load(Relaxed),
            reads: self.reads.load(Relaxed),
            leader_reads: 0,
        }
    }
}
