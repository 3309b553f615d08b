use std::{
    fmt,
    hash::{Hash, Hasher},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{Timestamp, Token};

/// An event as it stands on the wire and in the journal: an immutable fact about one entity.
///
/// The first four fields are the documented shape; the others may be absent. `S` is the state of the entity
/// **after** the event, which travels inside it; an event that comes from outside has none. Unknown fields are
/// ignored when read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(bound = ""))]
#[serde(rename_all = "camelCase", bound(deserialize = "S: DeserializeOwned"))]
pub struct Event<S> {
    /// Unique over all events; derived from its cause where the engine writes it.
    pub event_id: EventId,
    /// What happened, in the past tense.
    pub event_type: Token,
    /// When the writer's clock says that it happened. Never compared with another machine's clock.
    pub timestamp: Timestamp,
    /// What a reader of this event type needs to know.
    pub payload: Payload,
    /// The event that made its writer act; absent for what came from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<EventId>,
    /// The version of the entity's definition that wrote it; 1 if absent.
    #[serde(default = "first_version", skip_serializing_if = "is_first_version")]
    pub version: u32,
    /// How many attempts the outcome took; absent for what is no outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Why, for refusals, turns and cancellations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who decided by hand, where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<String>,
    /// What that person wrote down about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where its writer was in a trace that is kept, as a W3C `traceparent`; so that a join can name both of its causes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// When the owner let the saga in, by its clock; only on its first event, whose time is the sender's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// Until when the saga may stay open; only on its first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The entity's whole state after this event.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub state: Option<S>,
}

/// The identity of an event: a UUID, written in the usual hyphenated form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

/// A JSON value kept as the text that was written, so that no number loses a digit on its way.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payload(Box<RawValue>);

impl<S> Event<S> {
    /// An event with the four documented fields and nothing else.
    pub fn new(event_id: EventId, event_type: Token, timestamp: Timestamp, payload: Payload) -> Self {
        Self {
            event_id,
            event_type,
            timestamp,
            payload,
            causation_id: None,
            version: 1,
            attempt: None,
            reason: None,
            resolved_by: None,
            note: None,
            traceparent: None,
            accepted_at: None,
            deadline: None,
            state: None,
        }
    }

    /// The same fact with another state, or with none.
    pub fn with_state<T>(self, state: Option<T>) -> Event<T> {
        Event {
            event_id: self.event_id,
            event_type: self.event_type,
            timestamp: self.timestamp,
            payload: self.payload,
            causation_id: self.causation_id,
            version: self.version,
            attempt: self.attempt,
            reason: self.reason,
            resolved_by: self.resolved_by,
            note: self.note,
            traceparent: self.traceparent,
            accepted_at: self.accepted_at,
            deadline: self.deadline,
            state,
        }
    }
}

impl EventId {
    const NAMESPACE: Uuid = Uuid::from_u128(0x6a65_7473_6167_6120_8000_6576_656e_7473);

    /// An id taken from anywhere: an inbound message, a random source.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id of an event that its writer derives: a UUIDv5 over the parts, so that every replica that
    /// records the same fact about the same entity gives it the same id.
    pub fn derived(kind: &str, id: &str, what: &str) -> Self {
        // Tokens hold no slash, so no two different triples meet.
        Self(Uuid::new_v5(
            &Self::NAMESPACE,
            format!("{kind}/{id}/{what}").as_bytes(),
        ))
    }

    /// The id as a UUID.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// The id as one subject token.
    pub fn token(self) -> Token {
        // A hyphenated UUID is 36 characters of hex and hyphens: always a token.
        Token::new(&self.0.to_string()).unwrap_or_else(|_| unreachable!("a UUID is one token"))
    }
}

impl Payload {
    /// `value` as JSON text.
    ///
    /// # Errors
    /// When `value` does not serialise: a map with keys that are no text, for example.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// Reads the text as a `T`.
    ///
    /// # Errors
    /// Names the field, line and column at fault.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }

    /// The JSON text as written.
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Payload {}

impl Hash for Payload {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text().hash(state);
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const fn first_version() -> u32 {
    1
}

// A reference, because that is what serde hands.
const fn is_first_version(version: &u32) -> bool {
    *version == 1
}

const fn none<S>() -> Option<S> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_shape_survives_to_the_digit() {
        let text = r#"{"eventId":"a1b2c3d4-e5f6-7890-1234-567890abcdef","eventType":"OrderCreated","timestamp":"2023-10-27T10:30:00Z","payload":{"totalAmount":75.50}}"#;
        let event: Event<()> = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
    }

    #[test]
    fn derived_ids_are_stable() {
        let id = EventId::derived("checkout", "ORD-1", "payment.done");
        assert_eq!(id, EventId::derived("checkout", "ORD-1", "payment.done"));
        assert_ne!(id, EventId::derived("checkout", "ORD-1", "payment.refused"));
    }
}
