use std::{fmt::Display, time::Duration};

use async_nats::{
    HeaderMap,
    jetstream::{
        self, Message,
        consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    },
};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use saga::{Timestamp, Token};
use tokio::{runtime::Handle, sync::oneshot, time::sleep};
use uuid::Uuid;

use crate::{
    Heard, Nats, ReadError,
    broker::guard_of,
    subject::{EVENTS, EntitySubject},
};

/// The journal in order, from any sequence on: what read models, live views and relays are made from.
///
/// Every event that matches comes exactly once, in the order of its sequence. Underneath is a consumer of its own, in the
/// server's memory, which needs no acknowledgements and is made anew after the last event that was handed out whenever
/// the connection, the server or the consumer fails. Nothing is kept on the server: whoever reads remembers the
/// sequence of what it has dealt with, and opens the feed after it.
pub struct Feed {
    jetstream: jetstream::Context,
    stream: &'static str,
    filters: Vec<String>,
    /// The sequence of the last event that was handed out.
    after: u64,
    reading: Option<Reading>,
    /// Times in a row that the consumer could not be made.
    failures: u32,
}

/// A message of a feed.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// The guard that it was appended under.
    pub guard: u64,
    /// When the server stored it.
    pub stored_at: Timestamp,
    /// Where it was published.
    pub subject: String,
    /// The headers that it was published with.
    pub headers: HeaderMap,
    /// What was published.
    pub body: Bytes,
    /// How many that match come after it, as the server counted when it sent this one.
    pub pending: u64,
}

/// What a journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalInfo {
    /// When it was made: one that was made anew is another journal.
    pub created: Timestamp,
    /// The sequence of its first event; of the next one if there is none.
    pub first: u64,
    /// The sequence of its last event; 0 if there was none.
    pub last: u64,
}

/// Why a feed could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the stream {stream} cannot be read in order: {why}")]
pub struct FeedError {
    stream: &'static str,
    why: String,
}

/// The consumer that serves the feed now.
struct Reading {
    consumer: String,
    messages: pull::Stream,
    /// What its last message was for it: they are counted without a gap.
    count: u64,
}

const ENDED: &str = "the stream of messages ended";
/// Messages that one request asks for.
const BATCH: usize = 1000;
/// How long the server keeps a consumer that nobody reads.
const KEPT: Duration = Duration::from_secs(10);
/// The longest pause between two attempts to make the consumer again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Feed {
    /// The events of the journal on these subjects (none: all of them) whose sequence is greater than `after`.
    ///
    /// # Errors
    /// When the server does not answer, or has no journal.
    pub async fn open(nats: &Nats, filters: &[String], after: u64) -> Result<Self, FeedError> {
        Self::open_stream(nats, EVENTS, filters, after).await
    }

    /// The same of another stream.
    ///
    /// # Errors
    /// When the server does not answer, or has no such stream.
    pub async fn open_stream(
        nats: &Nats,
        stream: &'static str,
        filters: &[String],
        after: u64,
    ) -> Result<Self, FeedError> {
        let mut feed = Self {
            jetstream: nats.jetstream.clone(),
            stream,
            filters: filters.to_vec(),
            after,
            reading: None,
            failures: 0,
        };
        feed.reading = Some(feed.read().await?);
        Ok(feed)
    }

    /// The next one; waits until there is one, however long the server is away. Cancel safe.
    pub async fn next(&mut self) -> Entry {
        loop {
            let Some(reading) = &mut self.reading else {
                self.reopen().await;
                continue;
            };
            match reading.messages.next().await {
                Some(Ok(message)) => {
                    if let Some(entry) = self.take(message) {
                        return entry;
                    }
                }
                Some(Err(error)) => self.lose(&error),
                None => self.lose(&ENDED),
            }
        }
    }

    /// The next one and what has arrived behind it, at most `most`, in order. Cancel safe.
    pub async fn batch(&mut self, most: usize) -> Vec<Entry> {
        let mut entries = vec![self.next().await];
        while entries.len() < most
            && let Some(reading) = &mut self.reading
            && let Some(arrived) = reading.messages.next().now_or_never()
        {
            match arrived {
                Some(Ok(message)) => entries.extend(self.take(message)),
                Some(Err(error)) => self.lose(&error),
                None => self.lose(&ENDED),
            }
        }
        entries
    }

    /// The message, if it is the next one; else the consumer has lost something, and is made anew.
    fn take(&mut self, message: Message) -> Option<Entry> {
        let reading = self.reading.as_mut()?;
        let info = match message.info() {
            Ok(info) => info,
            Err(error) => {
                self.lose(&error);
                return None;
            }
        };
        if info.consumer_sequence != reading.count + 1 {
            self.lose(&"a message is missing");
            return None;
        }
        reading.count = info.consumer_sequence;
        self.after = info.stream_sequence;
        let (sequence, pending, stored_at) = (info.stream_sequence, info.pending, info.published.into());
        let headers = message.message.headers.unwrap_or_default();
        Some(Entry {
            sequence,
            guard: guard_of(&headers),
            stored_at,
            subject: message.message.subject.into_string(),
            headers,
            body: message.message.payload,
            pending,
        })
    }

    fn lose(&mut self, why: &dyn Display) {
        tracing::debug!(stream = self.stream, after = self.after, %why, "reading on with another consumer");
        self.reading = None;
    }

    async fn reopen(&mut self) {
        if self.failures > 0 {
            let pause = Duration::from_millis(50) * 2_u32.saturating_pow(self.failures.min(10));
            sleep(pause.min(LONGEST_PAUSE)).await;
        }
        match self.read().await {
            Ok(reading) => {
                self.reading = Some(reading);
                self.failures = 0;
            }
            Err(error) => {
                self.failures += 1;
                tracing::warn!(%error, after = self.after, "trying again");
            }
        }
    }

    async fn read(&self) -> Result<Reading, FeedError> {
        let failed = |why: &dyn Display| FeedError {
            stream: self.stream,
            why: why.to_string(),
        };
        let config = pull::Config {
            // Without a name of ours the request would name none, and nobody could be kept from the name of another.
            name: Some(format!("feed-{}", Uuid::new_v4().simple())),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: self.after + 1,
            },
            ack_policy: AckPolicy::None,
            filter_subjects: self.filters.clone(),
            inactive_threshold: KEPT,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let made = create(self.jetstream.clone(), self.stream, config);
        let consumer = made.await.map_err(|error| failed(&error))?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(BATCH)
            .expires(Duration::from_secs(30))
            .heartbeat(Duration::from_secs(5))
            .messages();
        let messages = messages.await.map_err(|error| failed(&error))?;
        Ok(Reading {
            consumer: consumer.cached_info().name.clone(),
            messages,
            count: 0,
        })
    }
}

/// Makes the consumer. If nobody waits for it any more by then, it is deleted at once: a server has a limit of consumers.
async fn create(
    jetstream: jetstream::Context,
    stream: &'static str,
    config: pull::Config,
) -> Result<PullConsumer, String> {
    let (made, waits) = oneshot::channel();
    tokio::spawn(async move {
        let consumer = jetstream.create_consumer_on_stream(config, stream).await;
        if let Err(Ok(left)) = made.send(consumer) {
            let name = &left.cached_info().name;
            if let Err(error) = jetstream.delete_consumer_from_stream(name, stream).await {
                tracing::debug!(stream, consumer = name, %error, "it ends by itself");
            }
        }
    });
    match waits.await {
        Ok(made) => made.map_err(|error| error.to_string()),
        Err(_) => Err("its making was interrupted".to_owned()),
    }
}

impl Drop for Feed {
    /// Tells the server that nobody reads any more, so that readers who come and go leave nothing behind; if it does not
    /// hear it, the consumer ends by itself after ten seconds.
    fn drop(&mut self) {
        let (Some(reading), Ok(runtime)) = (self.reading.take(), Handle::try_current()) else {
            return;
        };
        let (jetstream, stream) = (self.jetstream.clone(), self.stream);
        runtime.spawn(async move {
            let ended = jetstream
                .delete_consumer_from_stream(&reading.consumer, stream)
                .await;
            if let Err(error) = ended {
                tracing::debug!(stream, consumer = reading.consumer, %error, "it ends by itself");
            }
        });
    }
}

impl JournalInfo {
    /// Asks the journal's leader.
    ///
    /// # Errors
    /// When the server does not answer, or has no journal.
    pub async fn read(nats: &Nats) -> Result<Self, FeedError> {
        let stream = nats.jetstream.get_stream(EVENTS).await;
        let stream = stream.map_err(|error| FeedError {
            stream: EVENTS,
            why: error.to_string(),
        })?;
        let info = stream.cached_info();
        Ok(Self {
            created: info.created.into(),
            first: info.state.first_sequence,
            last: info.state.last_sequence,
        })
    }
}

impl Entry {
    /// The entity and the event type that its subject names; `None` for what is no event of the journal.
    pub fn entity(&self) -> Option<(EntitySubject, Token)> {
        EntitySubject::parse(&self.subject)
    }

    /// The event in it, with the state of its entity as JSON text.
    ///
    /// # Errors
    /// When it is no event.
    pub fn heard(&self) -> Result<Heard, ReadError> {
        Heard::read(&self.subject, &self.body, self.sequence, self.stored_at).map_err(|why| {
            ReadError::Corrupt {
                sequence: self.sequence,
                why,
            }
        })
    }
}
