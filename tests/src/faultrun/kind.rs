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

/// What a fault is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One replica of a worker, by its place among them.
    Worker(usize),
    /// One nats-server.
    Node(usize),
    /// Whichever nats-server leads the journal.
    Leader,
    /// A worker, and the nats-server that leads the journal.
    Both(usize),
    /// A stream.
    Stream(&'static str),
    /// A consumer of the journal.
    Consumer(&'static str),
    /// The payment provider.
    Provider,
    /// The inbox.
    Inbox,
    /// Every worker.
    Everyone,
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

/// The replicas of the workers, each with its role.
pub(super) const WORKERS: [(&str, &str); 10] = [
    ("order-1", "order"),
    ("order-2", "order"),
    ("payment-1", "payment"),
    ("payment-2", "payment"),
    ("inventory-1", "inventory"),
    ("inventory-2", "inventory"),
    ("shipping-1", "shipping"),
    ("shipping-2", "shipping"),
    ("notifier-1", "notifier"),
    ("notifier-2", "notifier"),
];

/// The places of the payment workers in [`WORKERS`].
pub(super) const PAYMENT: [usize; 2] = [2, 3];

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

impl Target {
    /// What `kind` closes to others when it is done to this.
    pub(super) fn lanes(self, kind: Kind) -> Vec<Lane> {
        match (kind, self) {
            (Kind::PoisonBurst, _) => vec![Lane::All],
            (Kind::WorkerCutOff | Kind::WorkerHung | Kind::WorkerDelayed, Self::Worker(n)) => {
                vec![Lane::Link(n)]
            }
            (Kind::BankCutOff, Self::Worker(n)) => vec![Lane::Bank(n)],
            (Kind::DiskFull | Kind::Replay, _) => vec![Lane::Journal],
            (_, Self::Worker(n)) => vec![Lane::Worker(n)],
            (_, Self::Both(n)) => vec![Lane::Worker(n), Lane::Nodes],
            (_, Self::Node(_) | Self::Leader) => vec![Lane::Nodes],
            (_, Self::Provider) => vec![Lane::Provider],
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worker = |n: usize| WORKERS.get(n).map_or("", |(name, _)| name);
        match self {
            Self::Worker(n) => f.write_str(worker(*n)),
            Self::Node(n) => write!(f, "nats-{}", n + 1),
            Self::Leader => f.write_str("the leader of EVENTS"),
            Self::Both(n) => write!(f, "{} and the leader of EVENTS", worker(*n)),
            Self::Stream(name) | Self::Consumer(name) => f.write_str(name),
            Self::Provider => f.write_str("provider"),
            Self::Inbox => f.write_str("INBOX"),
            Self::Everyone => f.write_str("every worker"),
        }
    }
}

impl Lane {
    /// True if two faults may not have these at once.
    pub(super) fn collides(self, other: Self) -> bool {
        self == other || self == Self::All || other == Self::All
    }
}
