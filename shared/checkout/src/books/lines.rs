use saga::{EventId, Timestamp, Token};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// A message of the journal as the server keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Its stream sequence.
    pub sequence: u64,
    /// Where it was published.
    pub subject: String,
    /// The sequence that its writer expected the entity's last event to have; `None` if it expected nothing.
    pub guard: Option<u64>,
    /// When the server stored it.
    pub time: Timestamp,
    /// What was published: JSON as it was written, or a JSON string of what is no JSON.
    pub body: Box<RawValue>,
}

/// What the state bucket keeps under one key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// `<kind>.<id>`.
    pub key: String,
    /// The sequence of the event in the journal; 0 if the message says of none.
    pub sequence: u64,
    /// The event, as in [`Message::body`].
    pub body: Box<RawValue>,
}

/// A dead letter, as `jetsaga letters list --json` prints it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Letter {
    /// Its sequence among the letters.
    pub sequence: u64,
    /// Why, in a word.
    pub reason: String,
    /// Why, in a sentence.
    pub detail: String,
    /// Who buried it.
    pub consumer: String,
    /// The stream it came from.
    pub stream: String,
    /// Its sequence there.
    pub stream_sequence: u64,
    /// Where it was published.
    pub subject: String,
    /// What was published.
    pub body: String,
}

/// A line of the payment provider's ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its place: 1, 2, 3, … without a gap.
    pub seq: u64,
    /// `charge`, `decline`, `refund` or `forbid`.
    pub kind: String,
    /// The idempotency key that it is the outcome of.
    pub key: String,
    /// How much, in minor units.
    #[serde(default)]
    pub amount: u64,
    /// The caller's name for the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The charge that a refund gives back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge_key: Option<String>,
}

/// What a driver asked for, and what it heard.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The order it was about, if it named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// The id of the event that it sent, if that had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// The type of the event that it sent.
    pub event_type: String,
    /// When it was sent.
    pub asked_at: Timestamp,
    /// When an answer came, if one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// What was answered.
    pub outcome: Answered,
    /// The sequence that the answer named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// What its sender meant it to be.
    pub expected: Expected,
}

/// What a request heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answered {
    /// It was let in.
    Ok,
    /// It was not, for good.
    Refused,
    /// It did not get as far as the inbox.
    Failed,
    /// Nothing.
    Unknown,
}

/// What the sender of a request meant it to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Expected {
    /// It has to be let in if it arrives.
    Good,
    /// It has to be refused.
    Bad,
    /// It repeats a good one, and has to change nothing.
    Duplicate,
}

/// What one consumer has left to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leftover {
    /// Its stream.
    pub stream: String,
    /// Its name.
    pub consumer: String,
    /// Messages that were never delivered.
    pub pending: u64,
    /// Messages that were delivered and not acknowledged.
    pub ack_pending: u64,
}

/// A message that the server sends when its time has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scheduled {
    /// Its stream.
    pub stream: String,
    /// `timer.<kind>.<id>.<name>` or `retry.<kind>.<worker>.<id>.<sequence>`.
    pub subject: String,
}

impl Message {
    /// A message of the journal. What is no JSON is kept as a string, bytes that are no text replaced.
    pub fn new(sequence: u64, subject: &str, guard: Option<u64>, time: Timestamp, body: &[u8]) -> Self {
        Self {
            sequence,
            subject: subject.to_owned(),
            guard,
            time,
            body: json(body),
        }
    }
}

impl Kept {
    /// What the bucket keeps under `key`, as [`Message::new`] has it.
    pub fn new(key: &str, sequence: u64, body: &[u8]) -> Self {
        Self {
            key: key.to_owned(),
            sequence,
            body: json(body),
        }
    }
}

/// `body` on one line: line breaks stand only between the parts of a JSON text.
fn json(body: &[u8]) -> Box<RawValue> {
    let text = String::from_utf8_lossy(body).into_owned();
    let line = if text.contains(['\n', '\r']) {
        text.replace(['\n', '\r'], " ")
    } else {
        text
    };
    RawValue::from_string(line.clone())
        .or_else(|_| to_raw_value(&line))
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The name of an entity: `<kind>.<id>`, as in the bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    pub(super) kind: Token,
    pub(super) id: Token,
}

impl Name {
    /// Reads `evt.<kind>.<type>.<id>`: the entity and the event type.
    pub(super) fn of_subject(subject: &str) -> Option<(Self, Token)> {
        let mut parts = subject.strip_prefix("evt.")?.split('.').map(Token::new);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(kind)), Some(Ok(event_type)), Some(Ok(id)), None) => {
                Some((Self { kind, id }, event_type))
            }
            _ => None,
        }
    }

    /// Reads `<kind>.<id>`.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        let (kind, id) = key.split_once('.')?;
        Some(Self {
            kind: Token::new(kind).ok()?,
            id: Token::new(id).ok()?,
        })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.kind, self.id)
    }
}
