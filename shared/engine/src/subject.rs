//! The only place where subjects are built. Every part is a [`Token`], so every subject has the shape it seems
//! to have.

use std::{borrow::Cow, fmt};

use saga::{EventId, Token};

/// The stream of every event of every entity.
pub const EVENTS: &str = "EVENTS";
/// The stream behind the key-value bucket `STATE`, filled by the server.
pub const KV_STATE: &str = "KV_STATE";
/// The stream behind the key-value bucket `KEYS`: the keys of personal data.
pub const KV_KEYS: &str = "KV_KEYS";
/// Deadlines: scheduled messages and what they fire.
pub const TIMERS: &str = "TIMERS";
/// Longer retries: scheduled messages and what they fire.
pub const RETRY: &str = "RETRY";
/// Where the world writes.
pub const INBOX: &str = "INBOX";
/// Marks of event ids that were handled.
pub const SEEN: &str = "SEEN";
/// What outsiders are told.
pub const OUTBOUND: &str = "OUTBOUND";
/// Dead letters.
pub const LETTERS: &str = "LETTERS";
/// Requests from outside that came with an idempotency key, and how they were answered.
pub const REQUESTS: &str = "REQUESTS";
/// No part of a system: it is there, without messages, while a restore is not complete.
pub const RESTORE: &str = "RESTORE";

/// The name under which a saga's owner keeps its consumers and retries. No step may be called so.
pub const OWNER: &str = "owner";

/// The subject of an event and the guard of its entity, always built together.
///
/// The guard is the same text for every append to an entity, byte for byte: on a replicated stream the server
/// serialises only writers that name the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntitySubject {
    kind: Token,
    id: Token,
}

impl EntitySubject {
    /// The subjects of the entity `id` of `kind`.
    pub fn new(kind: &Token, id: &Token) -> Self {
        Self {
            kind: kind.clone(),
            id: id.clone(),
        }
    }

    /// Where an event of this type is published.
    pub fn event(&self, event_type: &Token) -> String {
        format!("evt.{}.{event_type}.{}", self.kind, self.id)
    }

    /// The filter that matches every event of this entity and of no other.
    pub fn guard(&self) -> String {
        format!("evt.{}.*.{}", self.kind, self.id)
    }

    /// The subject of its latest state in the bucket.
    pub fn bucket(&self) -> String {
        format!("$KV.STATE.{}.{}", self.kind, self.id)
    }

    /// The subject of its key in the bucket `KEYS`.
    pub fn key(&self) -> String {
        format!("$KV.KEYS.{}.{}", self.kind, self.id)
    }

    /// Reads `evt.<kind>.<type>.<id>` back: the entity and the event type.
    pub fn parse(subject: &str) -> Option<(Self, Token)> {
        let mut parts = subject.split('.');
        let (Some("evt"), Some(kind), Some(event_type), Some(id), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return None;
        };
        let entity = Self {
            kind: Token::new(kind).ok()?,
            id: Token::new(id).ok()?,
        };
        Some((entity, Token::new(event_type).ok()?))
    }

    /// The entity's kind.
    pub const fn kind(&self) -> &Token {
        &self.kind
    }

    /// The entity's id.
    pub const fn id(&self) -> &Token {
        &self.id
    }
}

impl fmt::Display for EntitySubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// The filter for all events of one type of one kind.
pub fn events_of_type(kind: &Token, event_type: &Token) -> String {
    format!("evt.{kind}.{event_type}.*")
}

/// The filter for all events of one kind.
pub fn events_of_kind(kind: &Token) -> String {
    format!("evt.{kind}.*.*")
}

/// Where the world writes events of one type for one kind.
pub fn inbox(kind: &Token, event_type: &Token) -> String {
    format!("in.{kind}.{event_type}")
}

/// The filter for everything that the world writes to one kind.
pub fn inbox_of(kind: &Token) -> String {
    format!("in.{kind}.*")
}

/// A pending timer.
pub fn timer(kind: &Token, id: &Token, name: &str) -> String {
    format!("timer.{kind}.{id}.{name}")
}

/// What a timer fires.
pub fn timer_due(kind: &Token, id: &Token, name: &str) -> String {
    format!("due.{kind}.{id}.{name}")
}

/// The filter for one timer of all entities of a kind.
pub fn timers_due(kind: &Token, name: &str) -> String {
    format!("due.{kind}.*.{name}")
}

/// A pending retry of the trigger with this sequence.
pub fn retry(kind: &Token, worker: &str, id: &Token, sequence: u64) -> String {
    format!("retry.{kind}.{worker}.{id}.{sequence}")
}

/// What a retry fires.
pub fn retry_due(kind: &Token, worker: &str, id: &Token, sequence: u64) -> String {
    format!("due.{kind}.{worker}.{id}.{sequence}")
}

/// The filter for the fired retries of one worker.
pub fn retries_due(kind: &Token, worker: &str) -> String {
    format!("due.{kind}.{worker}.*.*")
}

/// The kind and the id that a message is about, as far as its subject says so.
pub(crate) fn about(subject: &str) -> (Option<Token>, Option<Token>) {
    let parts: Vec<&str> = subject.split('.').collect();
    let (kind, id) = match parts.as_slice() {
        ["evt", kind, _, id] | ["due", kind, id, _] | ["due", kind, _, id, _] => (*kind, Some(*id)),
        ["in", kind, _] => (*kind, None),
        _ => return (None, None),
    };
    (Token::new(kind).ok(), id.and_then(|id| Token::new(id).ok()))
}

/// A subject with words for the ids and numbers in it: there are no more of these than kinds, types and steps.
pub(crate) fn template(subject: &str) -> Cow<'_, str> {
    let parts: Vec<&str> = subject.split('.').collect();
    match parts.as_slice() {
        ["evt", kind, event_type, _] => format!("evt.{kind}.{event_type}.{{id}}").into(),
        [first @ ("due" | "timer"), kind, _, name] => format!("{first}.{kind}.{{id}}.{name}").into(),
        [first @ ("due" | "retry"), kind, worker, _, _] => {
            format!("{first}.{kind}.{worker}.{{id}}.{{sequence}}").into()
        }
        _ => subject.into(),
    }
}

/// The mark that `consumer` has handled an event.
pub fn seen(consumer: &str, event: EventId) -> String {
    format!("seen.{consumer}.{event}")
}

/// What is kept of a request; `name` is a hash of its idempotency key and of whose key it is.
pub fn request(name: &Token) -> String {
    format!("req.{name}")
}

/// The dead letter for one message of one stream, as `consumer` met it.
pub fn letter(consumer: &str, stream: &str, sequence: u64) -> String {
    format!("dlq.{consumer}.{stream}.{sequence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_names_no_id() {
        for (subject, named) in [
            (
                "evt.checkout.OrderCreated.ORD-1",
                "evt.checkout.OrderCreated.{id}",
            ),
            ("timer.checkout.ORD-1.deadline", "timer.checkout.{id}.deadline"),
            ("due.checkout.ORD-1.deadline", "due.checkout.{id}.deadline"),
            (
                "retry.checkout.payment.ORD-1.7",
                "retry.checkout.payment.{id}.{sequence}",
            ),
            (
                "due.checkout.payment.ORD-1.7",
                "due.checkout.payment.{id}.{sequence}",
            ),
            ("in.checkout.OrderCreated", "in.checkout.OrderCreated"),
        ] {
            assert_eq!(template(subject), named);
        }
    }

    #[test]
    fn a_subject_says_what_its_message_is_about() {
        let token = |text| Token::new(text).ok();
        for (subject, kind, id) in [
            ("evt.checkout.OrderCreated.ORD-1", "checkout", Some("ORD-1")),
            ("due.checkout.ORD-1.deadline", "checkout", Some("ORD-1")),
            ("due.checkout.payment.ORD-1.7", "checkout", Some("ORD-1")),
            ("in.checkout.OrderCreated", "checkout", None),
        ] {
            assert_eq!(about(subject), (token(kind), id.and_then(token)), "{subject}");
        }
        assert_eq!(about("$KV.STATE.checkout.ORD-1"), (None, None));
    }

    #[test]
    fn subject_and_guard_belong_together() {
        let token = |t: &str| Token::new(t).unwrap();
        let entity = EntitySubject::new(&token("checkout"), &token("ORD-1"));
        assert_eq!(
            entity.event(&token("OrderCreated")),
            "evt.checkout.OrderCreated.ORD-1"
        );
        assert_eq!(entity.guard(), "evt.checkout.*.ORD-1");
        let parsed = EntitySubject::parse("evt.checkout.OrderCreated.ORD-1");
        assert_eq!(parsed, Some((entity, token("OrderCreated"))));
        for odd in [
            "evt.checkout.*.ORD-1",
            "evt.a.b",
            "evt.a.b.c.d",
            "in.a.b.c",
            "evt..b.c",
        ] {
            assert_eq!(EntitySubject::parse(odd), None, "{odd}");
        }
    }
}
