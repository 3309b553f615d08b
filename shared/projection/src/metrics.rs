use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

/// What a runner counts, by projection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    position: Family<ByProjection, Gauge>,
    lag: Family<ByProjection, Gauge>,
    outdated: Family<ByProjection, Gauge>,
    pub(crate) events: Family<ByProjection, Counter>,
    pub(crate) problems: Family<ByProjection, Counter>,
    pub(crate) overtaken: Counter,
}

/// Labels: which projection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ByProjection {
    projection: &'static str,
}

impl Metrics {
    pub(crate) fn registered(on: &engine::Metrics) -> Self {
        let metrics = Self::default();
        on.extend(|registry| {
            let m = metrics.clone();
            registry.register("projection_position", "Last sequence applied", m.position);
            registry.register(
                "projection_lag",
                "Sequences of the journal that are not applied yet",
                m.lag,
            );
            registry.register(
                "projection_outdated",
                "1 until the projection is rebuilt",
                m.outdated,
            );
            registry.register("projection_events", "Events heard", m.events);
            registry.register("projection_problems", "Events that could not be read", m.problems);
            registry.register(
                "projection_overtaken",
                "Batches that another runner had applied",
                m.overtaken,
            );
        });
        metrics
    }

    /// Says how far a projection is, when the journal ends at `last`.
    pub(crate) fn place(&self, position: &crate::Position, last: u64) {
        let labels = ByProjection::of(position.name);
        let gauge = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.position.get_or_create(&labels).set(gauge(position.sequence));
        let behind = last.saturating_sub(position.sequence);
        self.lag.get_or_create(&labels).set(gauge(behind));
        self.outdated.get_or_create(&labels).set(position.outdated.into());
    }
}

impl ByProjection {
    pub(crate) const fn of(projection: &'static str) -> Self {
        Self { projection }
    }
}
