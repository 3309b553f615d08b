use std::time::Duration;

use async_nats::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header, jetstream};
use bytes::Bytes;
use saga::{Event, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Nats, subject, subject::EntitySubject, trace};

/// The journal: every event of every entity, appended only under the guard.
///
/// Appending is the one way in which anything changes: the event, the state after it, the message that others
/// hear and the deduplication are a single write. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    nats: Nats,
    leader: jetstream::stream::Stream<()>,
}

/// An event of the journal, with the state after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded<S> {
    /// Its stream sequence: the guard of the next append to its entity.
    pub sequence: u64,
    /// The stream sequence of the entity's event before it; 0 if it is the first.
    pub guard: u64,
    /// When the server stored it.
    pub stored_at: Timestamp,
    /// The event, without the state.
    pub event: Event<()>,
    /// The entity's whole state after it.
    pub state: S,
}

/// How new the answer to a read has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Whatever a replica has.
    Any,
    /// An event of at least this sequence is known to exist: a replica that has caught up with it, or the leader.
    AtLeast(u64),
    /// The stream leader, which is never stale.
    Leader,
}

/// Why a read gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The server did not answer; the same read may succeed later.
    #[error("the journal could not be read: {0}")]
    Unavailable(String),
    /// What is stored is no event of this entity.
    #[error("event {sequence} of the journal cannot be read: {why}")]
    Corrupt {
        /// Its stream sequence.
        sequence: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// Why an append did not happen, or may not have.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Something was appended to the entity since; its last event is at least this sequence.
    #[error("the entity's last event is {last}")]
    Stale {
        /// The sequence that the server named.
        last: u64,
    },
    /// Another append to the entity is in flight; nothing is known about it.
    #[error("another append to the entity is in flight")]
    InFlight,
    /// No answer: it may have happened, or may still.
    #[error("no answer to the append: {0}")]
    Unknown(String),
    /// The server will not have it: the stream is full, the message too large, the account not allowed.
    #[error("the journal refuses the append ({code}): {text}")]
    Refused {
        /// The server's error code.
        code: u64,
        /// Its words.
        text: String,
    },
}

const GUARD_SUBJECT: HeaderName = HeaderName::from_static("Nats-Expected-Last-Subject-Sequence-Subject");
const STREAM_SOURCE: HeaderName = HeaderName::from_static("Nats-Stream-Source");
/// Most events are smaller than this, in bytes.
const USUAL_EVENT: usize = 4096;
const WRONG_LAST_SEQUENCE: u64 = 10071;
const APPEND_IN_FLIGHT: u64 = 10164;

impl Journal {
    /// The journal behind this connection.
    ///
    /// # Errors
    /// When the stream `EVENTS` is not there.
    pub async fn open(nats: &Nats) -> Result<Self, ReadError> {
        let leader = nats.jetstream.get_stream_no_info(subject::EVENTS).await;
        let leader = leader.map_err(|error| ReadError::Unavailable(error.to_string()))?;
        Ok(Self {
            nats: nats.clone(),
            leader,
        })
    }

    /// The connection that it uses.
    pub const fn nats(&self) -> &Nats {
        &self.nats
    }

    /// The last event of an entity and the state after it; `None` if it has none. One request, about 0.1 ms.
    ///
    /// # Errors
    /// When the server does not answer, or the stored event cannot be read as an `S`.
    pub async fn last<S: DeserializeOwned>(
        &self,
        entity: &EntitySubject,
        fresh: Freshness,
    ) -> Result<Option<Recorded<S>>, ReadError> {
        let wanted = match fresh {
            Freshness::Any => 0,
            Freshness::AtLeast(sequence) => sequence,
            Freshness::Leader => u64::MAX,
        };
        for pause in [0, 10, 20, 40] {
            if wanted == u64::MAX {
                break;
            }
            if pause > 0 {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            let found = self.last_of_any(entity).await?;
            if wanted == 0 || found.as_ref().is_some_and(|m| m.sequence >= wanted) {
                return found.map(Stored::read).transpose();
            }
        }
        self.last_of_leader(entity).await?.map(Stored::read).transpose()
    }

    /// Appends `event`, which carries the state after it, on the condition that the entity's last event is
    /// `guard` (0: that it has none). Returns the event's sequence; it is then in the journal for good.
    ///
    /// # Errors
    /// [`AppendError::Unknown`] leaves open whether it happened; every other error says that it did not.
    pub async fn append<S: Serialize + Sync>(
        &self,
        entity: &EntitySubject,
        guard: u64,
        event: &Event<S>,
    ) -> Result<u64, AppendError> {
        let mut body = Vec::with_capacity(USUAL_EVENT);
        serde_json::to_writer(&mut body, event).map_err(|error| AppendError::Refused {
            code: 0,
            text: error.to_string(),
        })?;
        let mut headers = HeaderMap::new();
        headers.insert(
            header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            HeaderValue::from(guard),
        );
        headers.insert(GUARD_SUBJECT, entity.guard());
        trace::inject(&mut headers);
        let answer = publish(&self.nats, entity.event(&event.event_type), headers, body.into()).await;
        let metrics = &self.nats.metrics;
        match &answer {
            Ok(_) => metrics.appends.inc(),
            Err(AppendError::Stale { .. }) => metrics.conflicts.inc(),
            Err(AppendError::InFlight) => metrics.collisions.inc(),
            Err(_) => 0,
        };
        answer
    }

    /// Everything that happened to an entity, oldest first: a walk along the guards, 0.1 ms an event.
    ///
    /// # Errors
    /// When the server does not answer, or a stored event cannot be read as an `S`.
    pub async fn history<S: DeserializeOwned>(
        &self,
        entity: &EntitySubject,
    ) -> Result<Vec<Recorded<S>>, ReadError> {
        let mut history = Vec::new();
        let mut next = self.last(entity, Freshness::Leader).await?;
        while let Some(event) = next {
            let guard = event.guard;
            history.push(event);
            next = if guard == 0 {
                None
            } else {
                Some(self.at(guard).await?)
            };
        }
        history.reverse();
        Ok(history)
    }

    /// The last event of an entity that is not later than `moment`; `None` if it had none then.
    ///
    /// # Errors
    /// When the server does not answer, or a stored event cannot be read as an `S`.
    pub async fn as_of<S: DeserializeOwned>(
        &self,
        entity: &EntitySubject,
        moment: Moment,
    ) -> Result<Option<Recorded<S>>, ReadError> {
        let mut next = self.last(entity, Freshness::Leader).await?;
        while let Some(event) = next {
            let fits = match moment {
                Moment::Sequence(sequence) => event.sequence <= sequence,
                Moment::Time(time) => event.stored_at <= time,
            };
            if fits {
                return Ok(Some(event));
            }
            next = if event.guard == 0 {
                None
            } else {
                Some(self.at(event.guard).await?)
            };
        }
        Ok(None)
    }

    /// The latest state of an entity in the bucket, with its sequence in the journal. The bucket follows the
    /// journal, and it keeps what the journal has archived.
    ///
    /// # Errors
    /// When the server does not answer, or the stored event cannot be read as an `S`.
    pub async fn bucket<S: DeserializeOwned>(
        &self,
        entity: &EntitySubject,
    ) -> Result<Option<Recorded<S>>, ReadError> {
        self.nats.metrics.reads.inc();
        let found = direct_get(&self.nats, subject::KV_STATE, &entity.bucket()).await?;
        found.map(Stored::read).transpose()
    }

    /// The event with this sequence, from the leader.
    async fn at<S: DeserializeOwned>(&self, sequence: u64) -> Result<Recorded<S>, ReadError> {
        self.nats.metrics.leader_reads.inc();
        let message = self.leader.get_raw_message(sequence).await;
        Stored::from(message.map_err(|error| ReadError::Unavailable(error.to_string()))?).read()
    }

    async fn last_of_any(&self, entity: &EntitySubject) -> Result<Option<Stored>, ReadError> {
        self.nats.metrics.reads.inc();
        direct_get(&self.nats, subject::EVENTS, &entity.guard()).await
    }

    async fn last_of_leader(&self, entity: &EntitySubject) -> Result<Option<Stored>, ReadError> {
        self.nats.metrics.leader_reads.inc();
        match self.leader.get_last_raw_message_by_subject(&entity.guard()).await {
            Ok(message) => Ok(Some(message.into())),
            Err(error) if error.kind() == jetstream::stream::LastRawMessageErrorKind::NoMessageFound => {
                Ok(None)
            }
            Err(error) => Err(ReadError::Unavailable(error.to_string())),
        }
    }
}

/// A point in an entity's past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Right after the journal reached this stream sequence.
    Sequence(u64),
    /// This time by the server's clock.
    Time(Timestamp),
}

impl<S: DeserializeOwned> Recorded<S> {
    /// Reads an event that was delivered or read with this sequence.
    pub(crate) fn read(
        body: &[u8],
        sequence: u64,
        guard: u64,
        stored_at: Timestamp,
    ) -> Result<Self, ReadError> {
        let corrupt = |why: String| ReadError::Corrupt { sequence, why };
        let mut event: Event<S> = serde_json::from_slice(body).map_err(|e| corrupt(e.to_string()))?;
        let state = event
            .state
            .take()
            .ok_or_else(|| corrupt("it carries no state".to_owned()))?;
        Ok(Self {
            sequence,
            guard,
            stored_at,
            event: event.with_state(None),
            state,
        })
    }
}

/// A message as a stream keeps it.
struct Stored {
    sequence: u64,
    guard: u64,
    time: Timestamp,
    body: Bytes,
}

impl Stored {
    fn read<S: DeserializeOwned>(self) -> Result<Recorded<S>, ReadError> {
        Recorded::read(&self.body, self.sequence, self.guard, self.time)
    }
}

impl From<jetstream::message::StreamMessage> for Stored {
    fn from(message: jetstream::message::StreamMessage) -> Self {
        Self {
            sequence: message.sequence,
            guard: guard_of(&message.headers),
            time: message.time.into(),
            body: message.payload,
        }
    }
}

/// The guard that the server stored with an event.
pub(crate) fn guard_of(headers: &HeaderMap) -> u64 {
    let guard = headers.get(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE);
    guard.and_then(|value| value.as_str().parse().ok()).unwrap_or(0)
}

/// The last message on `filter`, by the subject form of the direct get, which permissions can scope.
async fn direct_get(nats: &Nats, stream: &str, filter: &str) -> Result<Option<Stored>, ReadError> {
    let unavailable = |error: &dyn std::fmt::Display| ReadError::Unavailable(error.to_string());
    let request = format!("$JS.API.DIRECT.GET.{stream}.{filter}");
    let message = nats
        .client
        .request(request, Bytes::new())
        .await
        .map_err(|e| unavailable(&e))?;
    if message.status == Some(StatusCode::NOT_FOUND) {
        return Ok(None);
    }
    let headers = message
        .headers
        .as_ref()
        .ok_or_else(|| unavailable(&"an answer without headers"))?;
    let text = |name| headers.get(name).map(HeaderValue::as_str);
    let sequence = text(header::NATS_SEQUENCE).and_then(|value| value.parse().ok());
    let time = text(header::NATS_TIME_STAMP).and_then(|value| value.parse().ok());
    let (Some(sequence), Some(time)) = (sequence, time) else {
        return Err(unavailable(&format_args!(
            "the server answered {:?} {:?}",
            message.status, message.description
        )));
    };
    // In the bucket a message has its own sequence; the journal's stands in the header that sourcing adds.
    let source = text(STREAM_SOURCE).and_then(journal_sequence);
    let guard = guard_of(headers);
    Ok(Some(Stored {
        sequence: source.unwrap_or(sequence),
        guard,
        time,
        body: message.payload,
    }))
}

/// The second word of `EVENTS 42 evt.*.*.* …`, or the last of `EVENTS:hash 42`.
fn journal_sequence(source: &str) -> Option<u64> {
    source.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Publishes to a stream and waits for the server's word.
pub(crate) async fn publish(
    nats: &Nats,
    subject: String,
    headers: HeaderMap,
    body: Bytes,
) -> Result<u64, AppendError> {
    let request = Request::new().headers(headers).payload(body);
    let answer = nats.client.send_request(subject, request).await;
    let answer = answer.map_err(|error| AppendError::Unknown(error.to_string()))?;
    let answer: Answer = serde_json::from_slice(&answer.payload)
        .map_err(|error| AppendError::Unknown(format!("an answer that is none: {error}")))?;
    match (answer.error, answer.seq) {
        (None, Some(sequence)) => Ok(sequence),
        (None, None) => Err(AppendError::Unknown("an answer without a sequence".to_owned())),
        (Some(error), _) => Err(error.into()),
    }
}

/// The server's answer to a publish.
#[derive(Deserialize)]
struct Answer {
    seq: Option<u64>,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl From<ApiError> for AppendError {
    fn from(error: ApiError) -> Self {
        match error.err_code {
            // "wrong last sequence: 42"
            WRONG_LAST_SEQUENCE => match error.description.rsplit(' ').next().map(str::parse) {
                Some(Ok(last)) => Self::Stale { last },
                _ => Self::InFlight,
            },
            APPEND_IN_FLIGHT => Self::InFlight,
            code => Self::Refused {
                code,
                text: error.description,
            },
        }
    }
}
