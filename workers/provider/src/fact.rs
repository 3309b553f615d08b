use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::key::Key;
use crate::order::{Charge, Refund};

/// One line of the ledger: what happened, in which place and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The place in the ledger: 1, 2, 3, … without a gap.
    pub(crate) seq: u64,
    /// The time of the commit, in milliseconds since the Unix epoch. For people:
    /// nothing is decided by it.
    pub(crate) at: u64,
    /// What happened.
    #[serde(flatten)]
    pub(crate) fact: Fact,
}

/// What happened to a key. Each key has at most one fact, which is its outcome.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub(crate) enum Fact {
    /// The money was taken.
    #[serde(rename = "charge")]
    Charged(Charge),
    /// The card was declined; nothing was taken.
    #[serde(rename = "decline")]
    Declined(Charge),
    /// Money was given back.
    #[serde(rename = "refund")]
    Refunded(Refund),
    /// The key was settled while it had no outcome; it never will have another.
    #[serde(rename = "forbid")]
    Forbidden {
        /// The settled key.
        key: Key,
    },
}

impl Fact {
    /// The key this is the outcome of.
    pub(crate) fn key(&self) -> &Key {
        match self {
            Self::Charged(charge) | Self::Declined(charge) => &charge.key,
            Self::Refunded(refund) => &refund.key,
            Self::Forbidden { key } => key,
        }
    }
}

/// The time now, in milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
