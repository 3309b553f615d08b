//! What happened to sagas, measured where it is recorded.

use std::time::{Duration, SystemTime};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        exemplar::HistogramWithExemplars,
        family::{Family, MetricConstructor},
        histogram::Histogram,
    },
    registry::Registry,
};
use saga::{Event, Kind, Plan, State, Status, StepIx};

use crate::trace;

/// Counters and durations of sagas, steps and effects. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SagaMetrics {
    /// Sagas let in.
    pub started: Family<BySaga, Counter>,
    /// Sagas that came to their end.
    pub ended: Family<BySagaEnd, Counter>,
    /// From being let in to the final event, in seconds.
    pub seconds: Timed<BySagaEnd>,
    /// From opening a step to its outcome, in seconds.
    pub step_seconds: Timed<ByStepEnd>,
    /// Effects tried, by what came of them.
    pub effects: Family<ByEffect, Counter>,
    /// How long an effect took, in seconds.
    pub effect_seconds: Family<ByVerb, Histogram, Buckets>,
}

/// A histogram for each set of labels, whose buckets name a trace to look at.
pub type Timed<L> = Family<L, HistogramWithExemplars<TraceLabel>, Buckets>;

/// Labels: which saga.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BySaga {
    /// Its name.
    pub saga: String,
}

/// Labels: which saga, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BySagaEnd {
    /// Its name.
    pub saga: String,
    /// `completed` or `cancelled`.
    pub outcome: &'static str,
}

/// Labels: which step, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByStepEnd {
    /// The saga.
    pub saga: String,
    /// The step.
    pub step: String,
    /// `done`, `refused` or `undone`.
    pub outcome: &'static str,
}

/// Labels: which effect, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByEffect {
    /// The durable consumer's name.
    pub consumer: String,
    /// `run`, `settle` or `undo`.
    pub verb: &'static str,
    /// `done`, `refused`, `undone` or `failed`.
    pub outcome: &'static str,
}

/// Labels: which effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByVerb {
    /// The durable consumer's name.
    pub consumer: String,
    /// `run`, `settle` or `undo`.
    pub verb: &'static str,
}

/// The trace that an observation was a part of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TraceLabel {
    /// Its id in hexadecimal digits.
    pub trace_id: String,
}

/// From a millisecond to an hour.
#[derive(Clone, Copy, Debug)]
pub struct Buckets;

const BOUNDS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 600.0, 3600.0,
];

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BOUNDS)
    }
}

impl MetricConstructor<HistogramWithExemplars<TraceLabel>> for Buckets {
    fn new_metric(&self) -> HistogramWithExemplars<TraceLabel> {
        HistogramWithExemplars::new(BOUNDS.into_iter())
    }
}

impl SagaMetrics {
    pub(crate) fn new() -> Self {
        Self {
            started: Family::default(),
            ended: Family::default(),
            seconds: Family::new_with_constructor(Buckets),
            step_seconds: Family::new_with_constructor(Buckets),
            effects: Family::default(),
            effect_seconds: Family::new_with_constructor(Buckets),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("sagas_started", "Sagas let in", self.started.clone());
        registry.register("sagas_ended", "Sagas that came to their end", self.ended.clone());
        registry.register(
            "saga_duration_seconds",
            "From being let in to the final event",
            self.seconds.clone(),
        );
        registry.register(
            "step_duration_seconds",
            "From opening a step to its outcome",
            self.step_seconds.clone(),
        );
        registry.register("effects", "Effects tried", self.effects.clone());
        registry.register(
            "effect_duration_seconds",
            "How long an effect took",
            self.effect_seconds.clone(),
        );
    }

    /// `event` was appended, and `state` is what the saga is after it.
    pub(crate) fn appended(&self, plan: &Plan, event: &Event<()>, state: &State) {
        let saga = plan.saga.to_string();
        match plan.kind(&event.event_type) {
            Some(Kind::Started) => {
                self.started.get_or_create(&BySaga { saga: saga.clone() }).inc();
            }
            Some(Kind::Done(ix)) => self.step_ended(plan, ix, "done", event, state),
            Some(Kind::Refused(ix)) => self.step_ended(plan, ix, "refused", event, state),
            Some(Kind::Undone(ix)) => self.step_ended(plan, ix, "undone", event, state),
            _ => {}
        }
        let outcome = match state.status {
            Status::Completed => "completed",
            Status::Cancelled => "cancelled",
            Status::Running | Status::Compensating => return,
        };
        let labels = BySagaEnd { saga, outcome };
        self.ended.get_or_create(&labels).inc();
        let begun = state.start.accepted_at.unwrap_or(state.start.at);
        let took = event.timestamp.since(begun);
        observe(&self.seconds.get_or_create(&labels), took);
    }

    /// An effect was tried and took so long; `outcome` is what came of it.
    pub(crate) fn tried(&self, consumer: String, verb: &'static str, outcome: &'static str, took: Duration) {
        let effect = ByEffect {
            consumer: consumer.clone(),
            verb,
            outcome,
        };
        self.effects.get_or_create(&effect).inc();
        let labels = ByVerb { consumer, verb };
        self.effect_seconds
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    fn step_ended(&self, plan: &Plan, ix: StepIx, outcome: &'static str, event: &Event<()>, state: &State) {
        let opened = state.step(plan, ix).and_then(|step| step.opened_at);
        let Some(opened) = opened else {
            return; // refused because its saga was taken back before it opened
        };
        let labels = ByStepEnd {
            saga: plan.saga.to_string(),
            step: plan.step(ix).name.to_string(),
            outcome,
        };
        observe(
            &self.step_seconds.get_or_create(&labels),
            event.timestamp.since(opened),
        );
    }
}

fn observe(histogram: &HistogramWithExemplars<TraceLabel>, took: Duration) {
    let trace = trace::current_id().map(|trace_id| TraceLabel { trace_id });
    let at = trace.is_some().then(SystemTime::now);
    histogram.observe(took.as_secs_f64(), trace, at);
}
