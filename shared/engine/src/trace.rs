//! The trace context of W3C, in message headers: one trace for each saga, across every hop.

use async_nats::{HeaderMap, HeaderValue};
use opentelemetry::{
    SpanId, TraceId,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState},
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{IdGenerator as _, RandomIdGenerator},
};
use saga::{Dependency, EventId, Plan, State, StepIx};
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::{Effect, delivery::Delivery, setback::Setback};

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

/// The span of one attempt at an effect.
pub(crate) fn effect(effect: &Effect, verb: &'static str) -> Span {
    let span = tracing::info_span!(
        target: SPANS,
        "effect",
        otel.name = field::Empty,
        otel.kind = "client",
        otel.status_code = field::Empty,
        otel.status_description = field::Empty,
        jetsaga.saga = effect.saga.as_str(),
        jetsaga.saga.id = effect.id.as_str(),
        jetsaga.step = effect.step.as_str(),
        jetsaga.verb = verb,
        jetsaga.attempt = effect.attempt,
        jetsaga.outcome = field::Empty,
    );
    if !span.is_disabled() {
        span.record("otel.name", format!("{verb} {}", effect.step));
    }
    span
}

/// What came of an effect.
pub(crate) fn ended(span: &Span, outcome: &'static str, error: Option<&Setback>) {
    span.record("jetsaga.outcome", outcome);
    if let Some(error) = error {
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", error.to_string());
    }
}

/// Links the current span to what else a join waited for: its parent is the event that came last.
pub(crate) fn link_causes(plan: &Plan, state: &State, step: StepIx, cause: EventId) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    for dependency in &plan.step(step).after {
        let Dependency::Step(other) = dependency else {
            continue;
        };
        let outcome = state.step(plan, *other).and_then(|step| step.done.as_ref());
        let traceparent = outcome
            .filter(|outcome| outcome.event_id != cause)
            .and_then(|outcome| outcome.traceparent.as_deref());
        if let Some((trace, id, sampled)) = traceparent.and_then(parse) {
            let flags = TraceFlags::default().with_sampled(sampled);
            span.add_link(SpanContext::new(trace, id, flags, true, TraceState::default()));
        }
    }
}

/// The trace context of the current span, if its trace is kept.
pub(crate) fn kept() -> Option<String> {
    current_id().and_then(|_| traceparent())
}

/// The trace context of the current span, for the header `traceparent` of a call to the world outside; `None` where
/// traces go nowhere.
pub fn traceparent() -> Option<String> {
    let span = Span::current();
    if span.is_disabled() {
        return None;
    }
    let mut headers = HeaderMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut HeadersMut(&mut headers));
    headers.get(TRACEPARENT).map(ToString::to_string)
}

/// A request from outside as part of a trace.
#[derive(Debug)]
pub struct Traced {
    /// Its span; disabled where traces go nowhere.
    pub span: Span,
    /// What names it, for the answer and for what is published because of it.
    pub traceparent: String,
}

const TRACEPARENT: &str = "traceparent";

/// The span of one request to `route`, continuing the trace that the request names. What came in is parsed strictly
/// (version 00 of the W3C recommendation) and written anew; what is no trace context begins a new trace.
pub fn traced(method: &str, route: &str, came: Option<&str>) -> Traced {
    let came = came.and_then(parse);
    let span = tracing::info_span!(
        target: SPANS,
        "request",
        otel.name = field::Empty,
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = field::Empty,
    );
    if !span.is_disabled() {
        span.record("otel.name", format!("{method} {route}"));
        if let Some((trace, parent, sampled)) = came {
            let mut headers = HeaderMap::new();
            HeadersMut(&mut headers).set(TRACEPARENT, spell(trace, parent, sampled));
            let parent = TraceContextPropagator::new().extract(&Headers(&headers));
            let _ = span.set_parent(parent); // fails only where no span is exported
        }
        let mut headers = HeaderMap::new();
        TraceContextPropagator::new().inject_context(&span.context(), &mut HeadersMut(&mut headers));
        if let Some(traceparent) = headers.get(TRACEPARENT) {
            let traceparent = traceparent.to_string();
            return Traced { span, traceparent };
        }
    }
    let ids = RandomIdGenerator::default();
    let (trace, sampled) = came.map_or_else(
        || (ids.new_trace_id(), false),
        |(trace, _, sampled)| (trace, sampled),
    );
    let traceparent = spell(trace, ids.new_span_id(), sampled);
    Traced { span, traceparent }
}

fn spell(trace: TraceId, span: SpanId, sampled: bool) -> String {
    format!("00-{trace}-{span}-{:02x}", u8::from(sampled))
}

/// `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`, in small letters, neither id zero.
fn parse(text: &str) -> Option<(TraceId, SpanId, bool)> {
    let mut parts = text.split('-');
    let (Some("00"), Some(trace), Some(span), Some(flags), None) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return None;
    };
    let hex = |text: &str, digits| {
        text.len() == digits
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    if !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
        return None;
    }
    let trace = TraceId::from_hex(trace)
        .ok()
        .filter(|id| *id != TraceId::INVALID)?;
    let span = SpanId::from_hex(span).ok().filter(|id| *id != SpanId::INVALID)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((trace, span, flags & 1 == 1))
}

/// Writes the current span's context into the headers of what is published. What came from outside is never copied:
/// it was parsed, and is written anew.
pub(crate) fn inject(headers: &mut HeaderMap) {
    let span = Span::current();
    if !span.is_disabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut HeadersMut(headers));
    }
}

/// The id of the trace that this is a part of, if it is kept.
pub(crate) fn current_id() -> Option<String> {
    let span = Span::current();
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    (context.is_valid() && context.is_sampled()).then(|| context.trace_id().to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_trace_is_continued_under_another_span() {
        let came = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let written = traced("GET", "/v1/orders", Some(&came)).traceparent;
        assert!(
            written.starts_with(&format!("00-{TRACE}-")) && written.ends_with("-01"),
            "{written}"
        );
        assert_ne!(written, came);
        assert!(parse(&written).is_some());
    }

    #[test]
    fn what_is_no_trace_context_begins_a_new_trace() {
        for odd in [
            "",
            "00",
            &format!("01-{TRACE}-00f067aa0ba902b7-01"),
            &format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            &format!("00-{TRACE}-0000000000000000-01"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            &format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            &format!("00-{TRACE}-00f067aa0ba902b7-0g"),
            &format!(" 00-{TRACE}-00f067aa0ba902b7-01"),
        ] {
            let written = traced("GET", "/v1/orders", Some(odd)).traceparent;
            assert!(
                parse(&written).is_some() && !written.contains(TRACE),
                "{odd:?} became {written}"
            );
        }
    }
}
