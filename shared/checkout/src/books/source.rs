use saga::{Timestamp, why_not};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

#[cfg(doc)]
use super::{Entry, Kept, Leftover, Letter, Message, Request, Scheduled};

/// One of the accounts that a run leaves behind. Each is a file of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// Every message of the journal, in the order of sequences: [`Message`] a line.
    Journal,
    /// The state bucket: [`Kept`] a line.
    Bucket,
    /// The dead letters: [`Letter`] a line.
    Letters,
    /// The payment provider's ledger: [`Entry`] a line.
    Ledger,
    /// What was asked from outside: [`Request`] a line.
    History,
    /// What the consumers have left to do: one list of [`Leftover`].
    Consumers,
    /// What the server still has to send: [`Scheduled`] a line.
    Schedules,
}

/// A line that cannot be read as what its source holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// When and how the accounts of a run were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// Nothing was under way: everything that was begun has to be ended.
    pub at_rest: bool,
    /// The journal's last sequence before the other accounts were taken: what happened later may be newer than
    /// they are, and is not compared with them.
    pub settled: u64,
    /// When they were taken, by the taker's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl Source {
    /// All of them, in the order in which they are best read.
    pub const ALL: [Self; 7] = [
        Self::Journal,
        Self::Bucket,
        Self::Ledger,
        Self::Letters,
        Self::History,
        Self::Consumers,
        Self::Schedules,
    ];

    /// The file of a recording that holds it.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Journal => "journal.jsonl",
            Self::Bucket => "bucket.jsonl",
            Self::Letters => "letters.jsonl",
            Self::Ledger => "ledger.jsonl",
            Self::History => "history.jsonl",
            Self::Consumers => "consumers.json",
            Self::Schedules => "schedules.jsonl",
        }
    }
}

impl Scope {
    /// A run that has ended: all of it is compared with all.
    pub const REST: Self = Self {
        at_rest: true,
        settled: u64::MAX,
        at: None,
    };
}

/// `text` as a `T`, or which field of it cannot be one and why.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    serde_json::from_str(text).map_err(|_| Unreadable(why_not::<T>("", text.as_bytes())))
}
