use std::time::Duration;

use async_nats::{HeaderMap, HeaderName, HeaderValue, header};
use saga::{Event, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use crate::{
    Nats,
    broker::{Link, Source, Stored},
    faults::{self, Flaw, Point, flawed, reach},
    subject::{EVENTS, EntitySubject, KV_STATE},
    trace::Publishing,
};

/// The journal: every event of every entity, appended only under the guard.
///
/// Appending is the one way in which anything changes: the event, the state after it, the message that others
/// hear and the deduplication are a single write. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    link: Link,
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
    /// An event of at least this sequence is known to exist: whoever has caught up with it.
    AtLeast(u64),
    /// The stream leader: no older than any append that it has acknowledged.
    Leader,
    /// The same, and no older than the event of this sequence. A follower may hand out an event that the leader has
    /// committed but does not show yet.
    LeaderAtLeast(u64),
}

/// Whom to ask for an event that exists, each after so many milliseconds.
const ANYONE_THEN_LEADER: [(u64, Source); 6] = [
    (0, Source::Anyone),
    (10, Source::Anyone),
    (20, Source::Anyone),
    (40, Source::Anyone),
    (0, Source::Leader),
    (100, Source::Leader),
];
/// The same of the leader alone.
const LEADER_AGAIN: [(u64, Source); 5] = [
    (0, Source::Leader),
    (10, Source::Leader),
    (20, Source::Leader),
    (40, Source::Leader),
    (100, Source::Leader),
];

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
    /// What is stored names a version of its entity's definition, and is not what this code takes for its event.
    #[error("event {sequence} of the journal is of version {version}, and cannot be read: {why}")]
    Unlike {
        /// Its stream sequence.
        sequence: u64,
        /// The version that it names.
        version: u32,
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
/// Most events are smaller than this, in bytes.
const USUAL_EVENT: usize = 4096;

impl Journal {
    /// The journal behind this connection.
    pub fn new(nats: &Nats) -> Self {
        Self::over(nats.link())
    }

    /// The journal that this broker keeps.
    pub const fn over(link: Link) -> Self {
        Self { link }
    }

    /// The broker that it uses.
    pub(crate) const fn link(&self) -> &Link {
        &self.link
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
        let (least, whom): (u64, &[(u64, Source)]) = match fresh {
            Freshness::Any => (0, &[(0, Source::Anyone)]),
            Freshness::AtLeast(least) => (least, &ANYONE_THEN_LEADER),
            Freshness::Leader => (0, &[(0, Source::Leader)]),
            Freshness::LeaderAtLeast(least) => (least, &LEADER_AGAIN),
        };
        for (pause, source) in whom {
            if *pause > 0 {
                tokio::time::sleep(Duration::from_millis(*pause)).await;
            }
            let found = self.last_of(entity, *source).await?;
            if least == 0 || found.as_ref().is_some_and(|found| found.sequence >= least) {
                return found.map(read).transpose();
            }
        }
        let why = format!("event {least} is known to exist, but not even the leader shows it yet");
        Err(ReadError::Unavailable(why))
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
        let body = faults::ahead(body);
        let subject = entity.event(&event.event_type);
        let mut headers = guarded(entity, guard);
        let publishing = Publishing::begin(&subject, &mut headers);
        reach(Point::BeforeAppend).await?;
        let asked = Instant::now();
        let mut answer = self.link.broker.publish(subject, headers, body.into()).await;
        let took = asked.elapsed();
        publishing.end(answer.as_ref());
        if let (Ok(_), Err(lost)) = (&answer, reach(Point::AfterAppend).await) {
            answer = Err(lost.into());
        }
        let metrics = &self.link.metrics;
        metrics.append_seconds.observe(took.as_secs_f64());
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
        let mut history = self.back(entity, None, usize::MAX).await?;
        history.reverse();
        Ok(history)
    }

    /// What happened to an entity, newest first: at most `most` events whose sequence is smaller than `before` (if it is
    /// given). The walk begins at the entity's last event.
    ///
    /// # Errors
    /// When the server does not answer, or a stored event cannot be read as an `S`.
    pub async fn back<S: DeserializeOwned>(
        &self,
        entity: &EntitySubject,
        before: Option<u64>,
        most: usize,
    ) -> Result<Vec<Recorded<S>>, ReadError> {
        let mut events = Vec::new();
        let mut next = self.last(entity, Freshness::Leader).await?;
        while let Some(event) = next
            && events.len() < most
        {
            next = self.before(&event).await?;
            if before.is_none_or(|before| event.sequence < before) {
                events.push(event);
            }
        }
        Ok(events)
    }

    /// The event before this one; `None` if it is its entity's first.
    ///
    /// # Errors
    /// When the server does not answer, or the stored event cannot be read as an `S`.
    pub async fn before<S: DeserializeOwned>(
        &self,
        event: &Recorded<S>,
    ) -> Result<Option<Recorded<S>>, ReadError> {
        match event.guard {
            0 => Ok(None),
            guard => self.at(guard).await.map(Some),
        }
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
            next = self.before(&event).await?;
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
        self.link.metrics.reads.inc();
        let key = entity.bucket();
        let found = self.link.broker.last(KV_STATE, &key, Source::Anyone).await?;
        found.map(read).transpose()
    }

    /// The event with this sequence, from the leader.
    async fn at<S: DeserializeOwned>(&self, sequence: u64) -> Result<Recorded<S>, ReadError> {
        self.link.metrics.leader_reads.inc();
        let found = self.link.broker.at(EVENTS, sequence).await?;
        let gone = || ReadError::Corrupt {
            sequence,
            why: "it is not there, though another event names it as its guard".to_owned(),
        };
        read(found.ok_or_else(gone)?)
    }

    async fn last_of(&self, entity: &EntitySubject, from: Source) -> Result<Option<Stored>, ReadError> {
        match from {
            Source::Anyone => self.link.metrics.reads.inc(),
            Source::Leader => self.link.metrics.leader_reads.inc(),
        };
        self.link.broker.last(EVENTS, &entity.guard(), from).await
    }
}

/// The headers of an append to `entity`: one guard, spelled by one function. On a replicated stream the server
/// serialises only those writers that name the same guard subject, byte for byte.
fn guarded(entity: &EntitySubject, guard: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !flawed(Flaw::NoGuard) {
        headers.insert(
            header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            HeaderValue::from(guard),
        );
        headers.insert(GUARD_SUBJECT, entity.guard());
    }
    if flawed(Flaw::TwoGuards) {
        headers.insert(GUARD_SUBJECT, faults::another_guard(entity));
    }
    headers
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
        let read = serde_json::from_slice(body);
        let mut event: Event<S> = read.map_err(|error| unlike(body, sequence, error.to_string()))?;
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

/// Why this event cannot be read, with its version if it names one: that decides whose fault it is.
fn unlike(body: &[u8], sequence: u64, why: String) -> ReadError {
    #[derive(Deserialize)]
    struct VersionOnly {
        version: u32,
    }
    match serde_json::from_slice::<VersionOnly>(body) {
        Ok(VersionOnly { version }) => ReadError::Unlike {
            sequence,
            version,
            why,
        },
        Err(_) => ReadError::Corrupt { sequence, why },
    }
}

fn read<S: DeserializeOwned>(stored: Stored) -> Result<Recorded<S>, ReadError> {
    Recorded::read(
        &stored.body,
        stored.journal_sequence(),
        stored.guard(),
        stored.time,
    )
}
