use std::{fmt, time::Duration};

use clap::ValueEnum;
use serde::Serialize;

/// Everything that is done to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Ten thousand messages that are no events, all at once into the inbox.
    PoisonBurst,
    /// SIGTERM to every worker in turn; each has to end with 0 within its drain limit.
    RollingRestart,
    /// SIGSTOP to a worker for longer than the acknowledgement wait: a zombie, when it goes on.
    WorkerFrozen,
    /// One step's durable consumer is deleted and created again: it hears everything anew.
    Replay,
    /// A worker, a nats-server and a stream's leadership, all at once.
    Together,
    /// SIGKILL to a nats-server, which is started again.
    NodeKilled,
    /// SIGKILL to the payment provider, which is started again with its ledger.
    ProviderDown,
    /// The journal takes nothing more, as on a full disk.
    DiskFull,
    /// The provider takes two seconds for each answer.
    ProviderSlow,
    /// The provider answers 500 to one request in five.
    ProviderFailing,
    /// The provider closes the connection in place of one answer in twenty, after it did what was asked.
    AnswersLost,
    /// The connections of one payment worker to the provider break, and new ones are refused.
    BankCutOff,
    /// The connection of a worker to NATS breaks, and new ones are refused.
    WorkerCutOff,
    /// The connection of a worker to NATS stays, and nothing passes.
    WorkerHung,
    /// Every byte between a worker and NATS arrives late.
    WorkerDelayed,
    /// SIGKILL to a worker, which is started again.
    WorkerKilled,
    /// A stream gets another leader.
    StreamStepDown,
    /// A consumer gets another leader.
    ConsumerStepDown,
    /// Messages that are no events, or no orders, into the inbox.
    CorruptMessages,
    /// Messages that are too large for the order worker, and for the inbox itself.
    OversizedMessages,
    /// Somebody with an administrator's rights writes events that are none into the journal.
    CorruptEvents,
    /// The same order two hundred times at once, and requests to cancel it.
    Crowd,
}

/// What only one fault at a time may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// A worker's process.
    Worker(usize),
    /// A worker's connection to NATS.
    Link(usize),
    /// A payment worker's connection to the provider.
    Bank(usize),
    /// The nats-servers: never two down at once.
    Nodes,
    /// The provider.
    Provider,
    /// The configuration of the journal and its consumers.
    Journal,
    /// Everything.
    All,
}

impl Kind {
    /// How long it lasts before it is healed, from and to, in milliseconds. Healing itself comes on top.
    pub(super) const fn lasts(self) -> (u64, u64) {
        match self {
            Self::PoisonBurst => (10_000, 10_000),
            Self::RollingRestart => (25_000, 25_000),
            Self::WorkerFrozen => (11_000, 14_000),
            Self::Replay => (5_000, 5_000),
            Self::Together | Self::NodeKilled => (1_500, 5_000),
            Self::ProviderDown => (2_000, 6_000),
            Self::DiskFull => (3_000, 5_000),
            Self::ProviderSlow | Self::ProviderFailing | Self::AnswersLost => (4_000, 8_000),
            Self::BankCutOff | Self::WorkerHung | Self::WorkerDelayed => (3_000, 8_000),
            Self::WorkerCutOff => (2_000, 6_000),
            Self::WorkerKilled => (200, 4_000),
            Self::StreamStepDown
            | Self::ConsumerStepDown
            | Self::CorruptMessages
            | Self::OversizedMessages
            | Self::CorruptEvents
            | Self::Crowd => (500, 500),
        }
    }

    /// How long its lanes stay closed after it: what was broken comes back in that time.
    pub(super) const fn rests(self) -> Duration {
        Duration::from_millis(match self {
            Self::NodeKilled | Self::Together => 7_000,
            Self::ProviderDown | Self::DiskFull => 1_000,
            _ => 500,
        })
    }

    /// How often it comes beyond the first time, compared with the others. What is 0 comes once.
    pub(super) const fn weight(self) -> u32 {
        match self {
            Self::PoisonBurst | Self::RollingRestart | Self::Replay => 0,
            Self::DiskFull | Self::Crowd => 2,
            Self::NodeKilled | Self::Together => 6,
            Self::WorkerKilled => 16,
            Self::StreamStepDown | Self::ConsumerStepDown => 8,
            _ => 5,
        }
    }

    /// True if a healthy order may have to wait while it lasts. What is false here may delay nobody.
    pub const fn interrupts(self) -> bool {
        !matches!(
            self,
            Self::PoisonBurst
                | Self::CorruptMessages
                | Self::OversizedMessages
                | Self::CorruptEvents
                | Self::Crowd
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl Lane {
    /// True if two faults may not have these at once.
    pub(super) fn collides(self, other: Self) -> bool {
        self == other || self == Self::All || other == Self::All
    }
}
