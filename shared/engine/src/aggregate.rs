use std::marker::PhantomData;

use saga::{Aggregate, Decision, Event, EventId, Facts, Payload, Shape, Token, TokenError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    AppendError, Freshness, Journal, Moment, Nats, ReadError, Recorded,
    clock::now,
    subject::EntitySubject,
    vault::{Key, Vault, VaultError, open},
};

/// Runs an [`Aggregate`] on the journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Aggregates<A> {
    kind: Token,
    journal: Journal,
    vault: Vault,
    aggregate: PhantomData<fn() -> A>,
}

/// An aggregate with the number of events that made it what it is; 1 after its first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered<A> {
    /// How many events.
    pub events: u64,
    /// The state after the last of them.
    #[serde(flatten)]
    pub entity: A,
}

/// What the sender of a command has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Anything: the command is decided on whatever is there.
    Any,
    /// Nothing: the entity is to be made by it.
    Absent,
    /// The entity after the event with this sequence.
    Sequence(u64),
}

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<R: std::error::Error + Send + Sync + 'static> {
    /// The domain says no.
    #[error(transparent)]
    Refused(R),
    /// The entity is not what the sender saw.
    #[error("its last event is {last}, not {expected}; read it again, and decide on that")]
    Stale {
        /// What was expected; 0 for no event.
        expected: u64,
        /// The sequence of its last event; 0 if it has none.
        last: u64,
    },
    /// Personal data of a person who was erased.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The journal could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The journal did not take it, or may have; the same command id may be sent again.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// How far back a command that was carried out before is sought.
const REMEMBERED: usize = 64;

impl<A: Aggregate> Aggregates<A> {
    /// The aggregates of this kind behind this connection.
    ///
    /// # Errors
    /// When the kind is no subject token.
    pub fn new(nats: &Nats) -> Result<Self, TokenError> {
        Ok(Self {
            kind: Token::new(A::KIND)?,
            journal: Journal::new(nats),
            vault: Vault::new(nats),
            aggregate: PhantomData,
        })
    }

    /// Carries out a command: what it comes to is in the journal when this returns, with the state after it. The same
    /// `command` id again changes nothing and gives the same answer, while at most 64 events have followed.
    ///
    /// # Errors
    /// When the domain says no, or the entity is not what the sender saw. After [`AppendError::Unknown`] it may have
    /// happened; the same id tells.
    pub async fn execute(
        &self,
        id: &Token,
        expected: Expected,
        command: EventId,
        what: &A::Command,
    ) -> Result<Recorded<Numbered<A>>, CommandError<A::Refusal>> {
        let entity = self.subject(id);
        loop {
            let last = self.journal.last(&entity, Freshness::Leader).await?;
            if let Some(before) = self.carried_out(last.clone(), command).await? {
                return Ok(self.bring_up(&entity, before).await?);
            }
            let last = match last {
                Some(last) => Some(self.bring_up(&entity, last).await?),
                None => None,
            };
            let at = last.as_ref().map_or(0, |last| last.sequence);
            match expected {
                Expected::Absent if at > 0 => {
                    return Err(CommandError::Stale {
                        expected: 0,
                        last: at,
                    });
                }
                Expected::Sequence(expected) if at != expected => {
                    return Err(CommandError::Stale { expected, last: at });
                }
                _ => {}
            }
            let before = last.as_ref().map(|last| &last.state.entity);
            let happened = match A::decide(before, id, what).map_err(CommandError::Refused)? {
                Decision::Event(happened) => happened,
                // It is so already; what is not there cannot be so.
                Decision::Nothing => match last {
                    Some(last) => return Ok(last),
                    None => return Err(CommandError::Stale { expected: 1, last: 0 }),
                },
            };
            let after = Numbered {
                events: last.as_ref().map_or(0, |last| last.state.events) + 1,
                entity: A::evolve(before, id, &happened),
            };
            let event = self.event(&entity, command, &happened, &after, at == 0).await?;
            match self.journal.append(&entity, at, &event).await {
                Ok(sequence) => {
                    return Ok(Recorded {
                        sequence,
                        guard: at,
                        stored_at: event.timestamp,
                        event: Event {
                            payload: happened.payload().map_err(|error| unwritable(&error))?,
                            ..event.with_state(None)
                        },
                        state: after,
                    });
                }
                Err(AppendError::Stale { .. } | AppendError::InFlight) => {} // decided again on what is there now
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The entity as it is; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn load(
        &self,
        id: &Token,
        fresh: Freshness,
    ) -> Result<Option<Recorded<Numbered<A>>>, VaultError> {
        let entity = self.subject(id);
        match self.journal.last(&entity, fresh).await? {
            Some(last) => Ok(Some(self.bring_up(&entity, last).await?)),
            None => Ok(None),
        }
    }

    /// The entity as it was; `None` if there was none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn as_of(
        &self,
        id: &Token,
        moment: Moment,
    ) -> Result<Option<Recorded<Numbered<A>>>, VaultError> {
        let entity = self.subject(id);
        match self.journal.as_of(&entity, moment).await? {
            Some(then) => Ok(Some(self.bring_up(&entity, then).await?)),
            None => Ok(None),
        }
    }

    /// What happened to it, newest first: at most `most` events whose sequence is smaller than `before` (if it is given).
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn history(
        &self,
        id: &Token,
        before: Option<u64>,
        most: usize,
    ) -> Result<Vec<Recorded<Numbered<A>>>, VaultError> {
        let entity = self.subject(id);
        let key = self.vault.key(&entity).await?;
        let events = self.journal.back(&entity, before, most).await?;
        let events = events.into_iter().map(|event| up::<A>(key.as_ref(), event));
        events.collect()
    }

    /// Deletes the key under which the entity's personal data is sealed: every event and state of it reads as erased
    /// from then on, and nothing personal can be added to it.
    ///
    /// # Errors
    /// When the server does not answer; doing it again goes on from there.
    pub async fn erase(&self, id: &Token) -> Result<(), VaultError> {
        self.vault.erase(&self.subject(id)).await
    }

    fn subject(&self, id: &Token) -> EntitySubject {
        EntitySubject::new(&self.kind, id)
    }

    /// The event that this command left, if it was carried out before.
    async fn carried_out(
        &self,
        last: Option<Recorded<Box<RawValue>>>,
        command: EventId,
    ) -> Result<Option<Recorded<Box<RawValue>>>, ReadError> {
        let mut next = last;
        for _ in 0..REMEMBERED {
            match next {
                Some(event) if event.event.event_id == command => return Ok(Some(event)),
                Some(event) => next = self.journal.before(&event).await?,
                None => break,
            }
        }
        Ok(None)
    }

    async fn event(
        &self,
        entity: &EntitySubject,
        command: EventId,
        happened: &A::Event,
        after: &Numbered<A>,
        first: bool,
    ) -> Result<Event<Payload>, CommandError<A::Refusal>> {
        let written = happened.payload().and_then(|p| Ok((p, Payload::of(after)?)));
        let (mut payload, mut state) = written.map_err(|error| unwritable(&error))?;
        if is_personal(&payload) || is_personal(&state) {
            let key = if first {
                Some(self.vault.key_or_new(entity).await?)
            } else {
                self.vault.key(entity).await?
            };
            let key = key.ok_or_else(|| VaultError::Erased(entity.to_string()))?;
            (payload, state) = (sealed(&key, &payload)?, sealed(&key, &state)?);
        }
        let event_type = Token::new(happened.event_type()).map_err(|error| AppendError::Refused {
            code: 0,
            text: format!("an event type: {error}"),
        })?;
        let event = Event::<Payload>::new(command, event_type, now(), payload);
        Ok(Event {
            version: A::VERSION,
            ..event.with_state(Some(state))
        })
    }

    async fn bring_up(
        &self,
        entity: &EntitySubject,
        event: Recorded<Box<RawValue>>,
    ) -> Result<Recorded<Numbered<A>>, VaultError> {
        let sealed = is_sealed(&event.event.payload) || event.state.get().contains(SEALED);
        let key = if sealed {
            self.vault.key(entity).await?
        } else {
            None
        };
        up(key.as_ref(), event)
    }
}

const PERSONAL: &str = "\"personal\"";
const SEALED: &str = "\"sealed\"";

fn is_personal(payload: &Payload) -> bool {
    payload.text().contains(PERSONAL)
}

fn is_sealed(payload: &Payload) -> bool {
    payload.text().contains(SEALED)
}

fn sealed(key: &Key, payload: &Payload) -> Result<Payload, VaultError> {
    let mut value: Value = payload.read().map_err(|_| unreadable(0, "it is no JSON"))?;
    key.seal(&mut value)?;
    Payload::of(&value).map_err(|_| unreadable(0, "it cannot be written"))
}

/// The event with what is sealed opened, in the shape that this code knows.
fn up<A: Aggregate>(
    key: Option<&Key>,
    found: Recorded<Box<RawValue>>,
) -> Result<Recorded<Numbered<A>>, VaultError> {
    let (sequence, version) = (found.sequence, found.event.version);
    if version > A::VERSION {
        let why = format!("it has version {version}; this code reads up to {}", A::VERSION);
        return Err(unreadable(sequence, why));
    }
    let shape = Shape::Payload(found.event.event_type.as_str());
    let payload = shaped::<A>(key, shape, version, found.event.payload.text(), sequence)?;
    let state = shaped::<A>(key, Shape::State, version, found.state.get(), sequence)?;
    Ok(Recorded {
        sequence,
        guard: found.guard,
        stored_at: found.stored_at,
        state: serde_json::from_str(&state).map_err(|error| unreadable(sequence, error))?,
        event: Event {
            payload: serde_json::from_str(&payload).map_err(|error| unreadable(sequence, error))?,
            ..found.event
        },
    })
}

/// The text opened and brought up. One that needs neither stays as it was written, to the digit.
fn shaped<A: Aggregate>(
    key: Option<&Key>,
    shape: Shape<'_>,
    version: u32,
    text: &str,
    sequence: u64,
) -> Result<String, VaultError> {
    if version == A::VERSION && !text.contains(SEALED) {
        return Ok(text.to_owned());
    }
    let mut value: Value = serde_json::from_str(text).map_err(|error| unreadable(sequence, error))?;
    open(key, &mut value)?;
    if version < A::VERSION {
        A::upcast(shape, version, &mut value).map_err(|why| unreadable(sequence, why))?;
    }
    Ok(value.to_string())
}

fn unreadable(sequence: u64, why: impl ToString) -> VaultError {
    VaultError::Read(ReadError::Corrupt {
        sequence,
        why: why.to_string(),
    })
}

fn unwritable(error: &serde_json::Error) -> AppendError {
    AppendError::Refused {
        code: 0,
        text: format!("an event cannot be written as JSON: {error}"),
    }
}
