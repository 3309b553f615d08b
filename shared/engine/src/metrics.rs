//! What is counted. Logic holds no metrics: the few places that do I/O count what they did.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::{
    encoding::{
        EncodeLabelSet,
        text::{encode_eof, encode_registry},
    },
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use crate::{SagaMetrics, letters::Reason};

/// What the name of every metric begins with.
const PREFIX: &str = "jetsaga";

/// The bounds of an append, in seconds: a tenth of a millisecond to five seconds.
const APPEND: [f64; 12] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0,
];

/// Every counter of one process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// What services count.
    more: Arc<Mutex<Registry>>,
    /// Messages delivered, by consumer.
    pub deliveries: Family<ByConsumer, Counter>,
    /// Messages delivered again, by consumer.
    pub redeliveries: Family<ByConsumer, Counter>,
    /// Triggers whose event id was handled before, by consumer.
    pub duplicates: Family<ByConsumer, Counter>,
    /// Messages acknowledged, by consumer.
    pub acknowledged: Family<ByConsumer, Counter>,
    /// Attempts put off, by consumer.
    pub retries: Family<ByConsumer, Counter>,
    /// Messages left to newer workers, by consumer.
    pub newer: Family<ByConsumer, Counter>,
    /// Dead letters, by consumer and reason.
    pub letters: Family<ByReason, Counter>,
    /// Outcomes recorded, by consumer and event type.
    pub outcomes: Family<ByEvent, Counter>,
    /// Steps that made no progress within their limits, by consumer.
    pub stuck: Family<ByConsumer, Counter>,
    /// Appends that the journal took.
    pub appends: Counter,
    /// Appends refused because the guard was stale.
    pub conflicts: Counter,
    /// Appends refused because another one was in flight.
    pub collisions: Counter,
    /// Reads from any replica.
    pub reads: Counter,
    /// Reads from the stream leader.
    pub leader_reads: Counter,
    /// What happened to sagas.
    pub sagas: SagaMetrics,
    /// How long an append took until its answer, in seconds.
    pub append_seconds: Histogram,
    /// Messages that a consumer has not handed out yet, as its leader says.
    pub pending: Family<ByStream, Gauge>,
    /// Messages that it has handed out and nobody has answered for, as its leader says.
    pub unacknowledged: Family<ByStream, Gauge>,
    /// Seconds since the server last read the journal for the state bucket; only owners of sagas have it.
    pub bucket_unread: Family<ByBucket, Gauge>,
    /// 1 while this process drains.
    pub draining: Gauge,
    /// Messages in work now.
    pub in_flight: Gauge,
    /// Consumers that this process serves.
    pub consumers: Gauge,
    /// Those of them that messages come from: one that was deleted, or whose server is away, is started again and again.
    pub consumers_working: Gauge,
    /// Services that this process runs.
    pub services: Gauge,
    /// Those of them that serve.
    pub services_working: Gauge,
}

/// Counts one more service, or consumer, that serves, for as long as it is kept.
#[derive(Debug)]
pub struct Serving(Gauge);

/// Labels: which consumer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByConsumer {
    /// The durable consumer's name.
    pub consumer: String,
}

/// Labels: which consumer of which stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByStream {
    /// The durable consumer's name.
    pub consumer: String,
    /// The stream.
    pub stream: &'static str,
}

/// Labels: which key-value bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByBucket {
    /// Its name.
    pub bucket: &'static str,
}

/// Labels: which consumer and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByReason {
    /// The durable consumer's name.
    pub consumer: String,
    /// One of a handful of reasons.
    pub reason: &'static str,
}

/// Labels: which consumer and which event type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByEvent {
    /// The durable consumer's name.
    pub consumer: String,
    /// The event type.
    pub event: String,
}

impl Metrics {
    /// All counters at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            more: Arc::new(Mutex::new(Registry::with_prefix(PREFIX))),
            deliveries: Family::default(),
            redeliveries: Family::default(),
            duplicates: Family::default(),
            acknowledged: Family::default(),
            retries: Family::default(),
            newer: Family::default(),
            letters: Family::default(),
            outcomes: Family::default(),
            stuck: Family::default(),
            appends: Counter::default(),
            conflicts: Counter::default(),
            collisions: Counter::default(),
            reads: Counter::default(),
            leader_reads: Counter::default(),
            sagas: SagaMetrics::new(),
            append_seconds: Histogram::new(APPEND),
            pending: Family::default(),
            unacknowledged: Family::default(),
            bucket_unread: Family::default(),
            draining: Gauge::default(),
            in_flight: Gauge::default(),
            consumers: Gauge::default(),
            consumers_working: Gauge::default(),
            services: Gauge::default(),
            services_working: Gauge::default(),
        };
        let mut registry = Registry::with_prefix(PREFIX);
        metrics.register(&mut registry);
        metrics.registry = Arc::new(registry);
        metrics
    }

    /// Has a service register what it counts, under names that begin with `jetsaga_`.
    pub fn extend(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.more.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A service holds this while it serves: without it the process is not ready.
    pub fn serving(&self) -> Serving {
        Serving::begin(&self.services_working)
    }

    /// Begins what is counted of `consumer` at 0: an increase from nothing is none to whoever reads the numbers.
    pub(crate) fn born(&self, consumer: &str) {
        let labels = ByConsumer::of(consumer);
        for family in [
            &self.redeliveries,
            &self.duplicates,
            &self.retries,
            &self.newer,
            &self.stuck,
        ] {
            drop(family.get_or_create(&labels));
        }
        for reason in Reason::ALL {
            let consumer = consumer.to_owned();
            let reason = reason.word();
            drop(self.letters.get_or_create(&ByReason { consumer, reason }));
        }
    }

    /// The text that a Prometheus server scrapes.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let more = self.more.lock().unwrap_or_else(PoisonError::into_inner);
        let encoded = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &more))
            .and_then(|()| encode_eof(&mut text));
        match encoded {
            Ok(()) => text,
            Err(error) => format!("# not encoded: {error}\n"),
        }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("deliveries", "Messages delivered", self.deliveries.clone());
        registry.register(
            "redeliveries",
            "Messages delivered again",
            self.redeliveries.clone(),
        );
        registry.register("duplicates", "Triggers handled before", self.duplicates.clone());
        registry.register("acknowledged", "Messages acknowledged", self.acknowledged.clone());
        registry.register("retries", "Attempts put off", self.retries.clone());
        registry.register(
            "newer_versions",
            "Messages left to newer workers",
            self.newer.clone(),
        );
        registry.register("dead_letters", "Messages buried", self.letters.clone());
        registry.register("outcomes", "Outcomes recorded", self.outcomes.clone());
        registry.register("stuck", "Steps out of attempts", self.stuck.clone());
        registry.register("journal_appends", "Appends taken", self.appends.clone());
        registry.register(
            "journal_conflicts",
            "Appends under a stale guard",
            self.conflicts.clone(),
        );
        registry.register(
            "journal_collisions",
            "Appends that met another",
            self.collisions.clone(),
        );
        registry.register("journal_reads", "Reads from any replica", self.reads.clone());
        registry.register(
            "journal_leader_reads",
            "Reads from the leader",
            self.leader_reads.clone(),
        );
        self.sagas.register(registry);
        registry.register(
            "journal_append_seconds",
            "Until an append is answered",
            self.append_seconds.clone(),
        );
        registry.register(
            "consumer_pending",
            "Messages not handed out yet",
            self.pending.clone(),
        );
        registry.register(
            "consumer_unacknowledged",
            "Messages handed out and not answered for",
            self.unacknowledged.clone(),
        );
        registry.register(
            "bucket_unread_seconds",
            "Since the server last read the journal for the state bucket",
            self.bucket_unread.clone(),
        );
        registry.register("draining", "1 while it drains", self.draining.clone());
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "What this process was built from", Info::new(version));
        registry.register("in_flight", "Messages in work", self.in_flight.clone());
        registry.register("consumers", "Consumers served", self.consumers.clone());
        registry.register(
            "consumers_working",
            "Consumers that messages come from",
            self.consumers_working.clone(),
        );
        registry.register("services", "Services run", self.services.clone());
        registry.register(
            "services_working",
            "Services that serve",
            self.services_working.clone(),
        );
    }
}

impl Serving {
    pub(crate) fn begin(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl ByConsumer {
    /// Labels of `consumer`.
    pub fn of(consumer: &str) -> Self {
        Self {
            consumer: consumer.to_owned(),
        }
    }
}
