use bytes::Bytes;
use jetsaga::Timestamp;
use serde::Serialize;

/// A message to the inbox.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// The order that it is about, as far as one can tell.
    pub(super) order_id: String,
    /// Its event id, if it has one.
    pub(super) event_id: Option<String>,
    /// The event type that its subject names.
    pub(super) event_type: String,
    /// What is published.
    pub(super) body: Bytes,
    /// What should come of it.
    pub(super) expected: Expected,
}

/// What should come of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expected {
    /// A saga, or its cancellation if it is not too late.
    Good,
    /// A dead letter.
    Bad,
    /// What came of the first one.
    Duplicate,
}

/// What its writer learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// The order worker let it in.
    Ok,
    /// The order worker said no.
    Refused,
    /// The inbox did not take it.
    Failed,
    /// Nothing: it may have happened.
    Unknown,
}

/// A request and its answer: one line of `history.jsonl`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    pub(super) order_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) event_id: Option<String>,
    pub(super) event_type: String,
    /// When it was published first.
    pub(super) asked_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answered_at: Option<Timestamp>,
    pub(super) outcome: Outcome,
    /// The sequence that the order worker named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sequence: Option<u64>,
    pub(super) expected: Expected,
    /// True once the inbox has confirmed it: then it may not be lost.
    pub(super) stored: bool,
}

impl Line {
    /// True for the first message of a good order.
    pub(super) fn is_order(&self) -> bool {
        self.event_type == "OrderCreated" && self.expected == Expected::Good
    }
}
