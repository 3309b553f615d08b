//! The trace context of W3C, in message headers: one trace for each saga, across every hop.

use async_nats::{HeaderMap, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::delivery::Delivery;

/// The target of every span that is exported. Nothing else has it, so that logs and traces are chosen apart.
pub(crate) const SPANS: &str = "jetsaga::span";

/// The span of one delivery at one consumer, continuing the trace that the message carries. Disabled, and free, when
/// traces go nowhere.
pub(crate) fn span(consumer: &str, delivery: &Delivery) -> Span {
    let span = tracing::info_span!(
        target: SPANS,
        "process",
        otel.name = field::Empty,
        otel.kind = "consumer",
        otel.status_code = field::Empty,
        messaging.system = "nats",
        messaging.operation.name = "process",
        messaging.consumer.group.name = consumer,
        messaging.destination.name = delivery.subject,
        jetsaga.attempt = delivery.attempt,
        jetsaga.redelivered = delivery.is_again,
        jetsaga.setback = field::Empty,
    );
    if !span.is_disabled() {
        span.record("otel.name", format!("process {consumer}"));
        let parent = TraceContextPropagator::new().extract(&Headers(&delivery.headers));
        let _ = span.set_parent(parent); // fails only where no span is exported
    }
    span
}

/// Writes the current span's context into the headers of what is published. What came from outside is never copied:
/// it was parsed, and is written anew.
pub(crate) fn inject(headers: &mut HeaderMap) {
    let span = Span::current();
    if !span.is_disabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut HeadersMut(headers));
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(HeaderValue::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new() // the propagator asks by name
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let Ok(value) = value.parse::<HeaderValue>() {
            self.0.insert(key, value);
        }
    }
}
