//! What the engine asks of the server while it works, as one trait: JetStream behind a connection, or, in tests, a journal
//! in memory with a seeded order of things. Both pass the same conformance tests.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use async_nats::{HeaderMap, HeaderName, HeaderValue, header, jetstream::AckKind};
use bytes::Bytes;
use saga::Timestamp;

use crate::{AppendError, Metrics, ReadError};

/// The journal's sequence of what a sourced stream keeps.
const STREAM_SOURCE: HeaderName = HeaderName::from_static("Nats-Stream-Source");

/// An answer on its way.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The requests that the engine makes. Every one may be answered late or never; what that leaves open stands in the
/// error.
pub trait Broker: fmt::Debug + Send + Sync + 'static {
    /// Publishes to the stream of this subject and waits for the server's word. Headers may name a guard or a schedule.
    fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> Asked<'_, Result<u64, AppendError>>;

    /// The last message on `filter`; `None` if there is none.
    fn last<'a>(
        &'a self,
        stream: &'static str,
        filter: &'a str,
        from: Source,
    ) -> Asked<'a, Result<Option<Stored>, ReadError>>;

    /// The message with this sequence, from the leader; `None` if there is none.
    fn at(&self, stream: &'static str, sequence: u64) -> Asked<'_, Result<Option<Stored>, ReadError>>;

    /// The first message on `filter` whose sequence is at least `from`, from the leader; `None` if there is none.
    fn next<'a>(
        &'a self,
        stream: &'static str,
        filter: &'a str,
        from: u64,
    ) -> Asked<'a, Result<Option<Stored>, ReadError>>;

    /// Removes a message; an error if there is none with this sequence.
    fn remove(&self, stream: &'static str, sequence: u64) -> Asked<'_, Result<(), ReadError>>;

    /// Sends a plain message to whoever listens, at most once.
    fn tell(&self, subject: String, body: Bytes) -> Asked<'_, Result<(), AppendError>>;
}

/// The means to answer for one delivery.
pub trait Acker: Send + Sync + 'static {
    /// Sends the answer. A lost one is a redelivery.
    fn answer(&self, kind: AckKind) -> Asked<'_, Result<(), String>>;
}

/// Who answers a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Any replica: the answer may be old.
    Anyone,
    /// The stream leader: no older than any append that was acknowledged before.
    Leader,
}

/// A message as a stream keeps it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its sequence in the stream that was asked.
    pub sequence: u64,
    /// When the server stored it.
    pub time: Timestamp,
    /// The headers that it was published with, and those that the server added.
    pub headers: HeaderMap,
    /// What was published.
    pub body: Bytes,
}

/// A message as a consumer hands it out.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The stream.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// How often it was handed out, this time included, as far as the server remembers.
    pub delivered: u64,
    /// When the server stored it.
    pub stored_at: Timestamp,
    /// Where it was published.
    pub subject: String,
    /// The headers it was published with.
    pub headers: HeaderMap,
    /// What was published.
    pub body: Bytes,
}

/// A broker, and where its users count what they do. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Link {
    /// Who is asked.
    pub broker: Arc<dyn Broker>,
    /// What is counted.
    pub metrics: Metrics,
    /// What happens to its users on their way.
    #[cfg(feature = "testing")]
    pub script: crate::faults::Script,
}

impl Stored {
    /// The guard that the server stored with an event; 0 if there is none.
    pub fn guard(&self) -> u64 {
        guard_of(&self.headers)
    }

    /// Its sequence in the journal, also where the bucket keeps it: there a message has a sequence of the bucket's own,
    /// and the journal's stands in the header that sourcing adds.
    pub fn journal_sequence(&self) -> u64 {
        let source = self.headers.get(STREAM_SOURCE).map(HeaderValue::as_str);
        source.and_then(sequence_of_source).unwrap_or(self.sequence)
    }
}

/// The guard in these headers; 0 if there is none.
pub(crate) fn guard_of(headers: &HeaderMap) -> u64 {
    let guard = headers.get(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE);
    guard.and_then(|value| value.as_str().parse().ok()).unwrap_or(0)
}

/// The second word of `EVENTS 42 evt.*.*.* …`, or the last of `EVENTS:hash 42`.
fn sequence_of_source(source: &str) -> Option<u64> {
    source.split_ascii_whitespace().nth(1)?.parse().ok()
}
