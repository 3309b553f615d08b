use std::fmt;

use super::kind::{Kind, Lane};

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

/// The streams whose leaders step down.
const STREAMS: [&str; 8] = [
    "EVENTS", "KV_STATE", "INBOX", "RETRY", "TIMERS", "SEEN", "LETTERS", "REQUESTS",
];
/// The consumers of the journal.
const CONSUMERS: [&str; 6] = [
    "checkout-owner",
    "checkout-payment",
    "checkout-inventory",
    "checkout-shipping",
    "inventory-shipped",
    "notifier",
];
impl Target {
    /// What a fault of this kind is done to, by chance.
    pub(super) fn draw(kind: Kind, chance: &mut fastrand::Rng) -> Self {
        match kind {
            Kind::WorkerFrozen
            | Kind::WorkerCutOff
            | Kind::WorkerHung
            | Kind::WorkerDelayed
            | Kind::WorkerKilled => Self::Worker(chance.usize(0..WORKERS.len())),
            Kind::Together => Self::Both(chance.usize(0..WORKERS.len())),
            Kind::BankCutOff => Self::Worker(PAYMENT[chance.usize(0..PAYMENT.len())]),
            Kind::NodeKilled if chance.bool() => Self::Leader,
            Kind::NodeKilled => Self::Node(chance.usize(0..3)),
            Kind::ProviderDown | Kind::ProviderSlow | Kind::ProviderFailing | Kind::AnswersLost => {
                Self::Provider
            }
            Kind::StreamStepDown => Self::Stream(STREAMS[chance.usize(0..STREAMS.len())]),
            Kind::DiskFull | Kind::CorruptEvents => Self::Stream("EVENTS"),
            Kind::ConsumerStepDown => Self::Consumer(CONSUMERS[chance.usize(0..CONSUMERS.len())]),
            // The owner and the steps: a plain handler's events are recognised in the same way.
            Kind::Replay => Self::Consumer(CONSUMERS[chance.usize(0..4)]),
            Kind::RollingRestart => Self::Everyone,
            Kind::PoisonBurst | Kind::CorruptMessages | Kind::OversizedMessages | Kind::Crowd => Self::Inbox,
        }
    }

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
