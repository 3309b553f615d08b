use std::time::Duration;

use async_nats::{
    HeaderMap, HeaderName, HeaderValue,
    jetstream::{self, AckKind},
};
use bytes::Bytes;
use saga::Timestamp;

use crate::{
    broker::{Acker, Arrival, guard_of},
    subject::{EVENTS, RETRY},
};

/// The stream sequence of the trigger that a retry carries.
pub(crate) const SEQUENCE: HeaderName = HeaderName::from_static("Jetsaga-Sequence");
/// Attempts that were made before a retry was scheduled.
pub(crate) const ATTEMPT: HeaderName = HeaderName::from_static("Jetsaga-Attempt");
/// When the trigger was put off first.
pub(crate) const SINCE: HeaderName = HeaderName::from_static("Jetsaga-Since");
/// The stream that a retry or a dead letter came from.
pub(crate) const STREAM: HeaderName = HeaderName::from_static("Jetsaga-Stream");
/// The subject that a retry or a dead letter came from.
pub(crate) const SUBJECT: HeaderName = HeaderName::from_static("Jetsaga-Subject");

/// The letter that a redriven message was.
pub(crate) const LETTER: HeaderName = HeaderName::from_static("Jetsaga-Letter");

/// Deliveries beyond this many count no more: a server that was away for an hour has not tried an effect.
const DELIVERIES_THAT_COUNT: u32 = 5;

/// A message taken from a consumer, with the means to answer for it.
pub(crate) struct Delivery {
    /// What was published.
    pub(crate) body: Bytes,
    /// The headers it was published with.
    pub(crate) headers: HeaderMap,
    /// Where it was published first: a retry carries the subject of its trigger.
    pub(crate) subject: String,
    /// The stream that it was published to first.
    pub(crate) stream: String,
    /// Its sequence in that stream.
    pub(crate) sequence: u64,
    /// The guard that it was appended under, if it is an event of the journal.
    pub(crate) guard: u64,
    /// When the server stored it.
    pub(crate) stored_at: Timestamp,
    /// True when a consumer of the journal hands it out for the first time, as far as the server remembers.
    pub(crate) is_first: bool,
    /// True if it was handed out before.
    pub(crate) is_again: bool,
    /// Which attempt this is; the first is 1. Decides nothing but when to try again.
    pub(crate) attempt: u32,
    /// True if the next delivery by the server counts as another attempt.
    pub(crate) counts_on: bool,
    /// When it was put off first.
    pub(crate) since: Option<Timestamp>,
    /// The letter that it was until it was redriven, which may still be there; 0 if it was none.
    pub(crate) letter: u64,
    acker: Box<dyn Acker>,
}

impl Delivery {
    /// Takes a message apart; `None` if it did not come from a consumer.
    pub(crate) fn new(message: jetstream::Message) -> Option<Self> {
        let info = message.info().ok()?;
        let (stream, sequence) = (info.stream.to_owned(), info.stream_sequence);
        let (delivered, stored_at) = (u64::try_from(info.delivered).unwrap_or(1), info.published.into());
        let (message, acker) = message.split();
        let arrival = Arrival {
            stream,
            sequence,
            delivered,
            stored_at,
            subject: message.subject.into_string(),
            headers: message.headers.unwrap_or_default(),
            body: message.payload,
        };
        Some(Self::of(arrival, Box::new(acker)))
    }

    /// What arrived, with the means to answer for it.
    pub(crate) fn of(arrival: Arrival, acker: Box<dyn Acker>) -> Self {
        let Arrival {
            stream,
            sequence,
            delivered,
            stored_at,
            subject,
            headers,
            body,
        } = arrival;
        // Only what the engine itself scheduled says where it came from; the world may write any header.
        let ours = stream == RETRY;
        let text = |name| headers.get(name).filter(|_| ours).map(HeaderValue::as_str);
        let put_off = text(SEQUENCE).and_then(|value| value.parse().ok());
        let before: u32 = text(ATTEMPT).and_then(|value| value.parse().ok()).unwrap_or(0);
        let deliveries = u32::try_from(delivered)
            .unwrap_or(u32::MAX)
            .clamp(1, DELIVERIES_THAT_COUNT);
        Self {
            subject: text(SUBJECT).map_or(subject, str::to_owned),
            is_first: delivered == 1 && stream == EVENTS,
            is_again: delivered > 1,
            stream: text(STREAM).map_or(stream, str::to_owned),
            sequence: put_off.unwrap_or(sequence),
            guard: guard_of(&headers),
            stored_at,
            attempt: before.saturating_add(deliveries),
            counts_on: deliveries < DELIVERIES_THAT_COUNT,
            letter: text(LETTER).and_then(|value| value.parse().ok()).unwrap_or(0),
            since: text(SINCE).and_then(|value| value.parse().ok()),
            body,
            headers,
            acker,
        }
    }

    /// Tells the server that the journal owes nothing for this message. A lost acknowledgement is a redelivery.
    pub(crate) async fn acknowledge(&self) {
        self.answer(AckKind::Ack).await;
    }

    /// Tells the server to deliver the message again after `pause`.
    pub(crate) async fn hand_back(&self, pause: Duration) {
        self.answer(AckKind::Nak(Some(pause))).await;
    }

    /// Tells the server never to deliver the message again.
    pub(crate) async fn terminate(&self) {
        self.answer(AckKind::Term).await;
    }

    /// Tells the server that the message is still in work.
    pub(crate) async fn extend(&self) {
        self.answer(AckKind::Progress).await;
    }

    async fn answer(&self, kind: AckKind) {
        if let Err(error) = self.acker.answer(kind).await {
            tracing::warn!(subject = self.subject, %error, "an acknowledgement was not sent; the message comes again");
        }
    }
}
