//! Spans, and the trace context of W3C in message headers: one trace for each saga, across every hop. Kinds, names and
//! attributes are those of the OpenTelemetry conventions for messaging; what they have no name for begins with `jetsaga.`.
//!
//! Whoever begins a trace decides whether it is kept, and everybody after it obeys: what is not kept costs no span, and
//! its context is passed on all the same.

mod context;
mod publishing;

use std::sync::OnceLock;

use async_nats::{HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt as _, TraceState},
};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, SdkTracer};
use saga::{Dependency, EventId, Plan, State, StepIx, Token};
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::{
    Effect,
    clock::dice,
    delivery::Delivery,
    in_hand,
    setback::{Disposition, Setback},
    subject,
};

pub use context::TraceContext;
use context::{context, parse, read, spell};
pub use publishing::Publishing;

/// The target of every span that is exported. Nothing else has it, so that logs and traces are chosen apart.
pub(crate) const SPANS: &str = "jetsaga::span";
/// The header that carries the trace context.
const TRACEPARENT: HeaderName = HeaderName::from_static(TraceContext::TRACEPARENT);
/// The header that carries what others have to say about the trace.
const TRACESTATE: HeaderName = HeaderName::from_static(TraceContext::TRACESTATE);

/// The share of traces begun here that is kept; not set where traces go nowhere.
static KEPT: OnceLock<f64> = OnceLock::new();
/// What makes spans; not set where traces go nowhere.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// From now on traces go where `tracer` sends them, and this share of those that begin here is kept.
pub(crate) fn keep(share: f64, tracer: SdkTracer) {
    let _ = (KEPT.set(share), TRACER.set(tracer)); // a second call changes nothing
}

/// The trace that a delivery belongs to: the one it names, or a new one that is not kept. `None` if it is the first of
/// one that is kept, and where traces go nowhere.
pub(crate) fn came(delivery: &Delivery) -> Option<SpanContext> {
    let text = |name| delivery.headers.get(name).map(HeaderValue::as_str);
    read(text(TRACEPARENT), text(TRACESTATE)).or_else(begun_unkept)
}

fn begun_unkept() -> Option<SpanContext> {
    let share = *KEPT.get()?;
    if f64::from(dice()) < share * f64::from(u32::MAX) || share >= 1.0 {
        return None;
    }
    let ids = RandomIdGenerator::default();
    Some(context(
        ids.new_trace_id(),
        ids.new_span_id(),
        false,
        TraceState::NONE,
    ))
}

/// The span of one delivery at one consumer, as a part of `trace`. Disabled, and free, when the trace is not kept or
/// traces go nowhere.
pub(crate) fn span(consumer: &str, delivery: &Delivery, trace: Option<&SpanContext>) -> Span {
    if trace.is_some_and(|trace| !trace.is_sampled()) {
        return Span::none();
    }
    let (kind, id) = subject::about(&delivery.subject);
    let template = subject::template(&delivery.subject);
    let span = tracing::info_span!(
        target: SPANS,
        "process",
        otel.name = %format_args!("process {template}"),
        otel.kind = "consumer",
        otel.status_code = field::Empty,
        messaging.system = "nats",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.consumer.group.name = consumer,
        messaging.destination.name = delivery.subject,
        messaging.destination.template = &*template,
        jetsaga.saga = kind.as_ref().map(Token::as_str),
        jetsaga.saga.id = id.as_ref().map(Token::as_str),
        jetsaga.attempt = i64::from(delivery.attempt),
        jetsaga.redelivered = delivery.is_again,
        error.type = field::Empty,
        jetsaga.setback = field::Empty,
        jetsaga.fate = field::Empty,
    );
    under(&span, trace);
    span
}

/// Why the delivery in hand is not finished, and what becomes of it. To wait for others is no error.
pub(crate) fn put_off(setback: &Setback, fate: &Disposition) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    span.record("jetsaga.setback", setback.in_public());
    span.record("jetsaga.fate", fate.word());
    let error = match setback {
        Setback::Poison(reason, _) => reason.word(),
        Setback::Effect(_) => "effect",
        Setback::Journal(_) => "journal",
        Setback::Newer(_) | Setback::Early(_) => return,
    };
    span.record("otel.status_code", "ERROR");
    span.record("error.type", error);
}

fn under(span: &Span, parent: Option<&SpanContext>) {
    if let Some(parent) = parent
        && !span.is_disabled()
    {
        let _ = span.set_parent(Context::new().with_remote_span_context(parent.clone())); // fails only where none is exported
    }
}

/// The span of one attempt at an effect.
pub(crate) fn effect(effect: &Effect, verb: &'static str) -> Span {
    if Span::current().is_disabled() {
        return Span::none();
    }
    tracing::info_span!(
        target: SPANS,
        "effect",
        otel.name = %format_args!("{verb} {}", effect.step),
        otel.kind = "client",
        otel.status_code = field::Empty,
        otel.status_description = field::Empty,
        jetsaga.saga = effect.saga.as_str(),
        jetsaga.saga.id = effect.id.as_str(),
        jetsaga.step = effect.step.as_str(),
        jetsaga.verb = verb,
        jetsaga.attempt = i64::from(effect.attempt),
        jetsaga.outcome = field::Empty,
    )
}

/// What came of an effect.
pub(crate) fn ended(span: &Span, outcome: &'static str, error: Option<&Setback>) {
    span.record("jetsaga.outcome", outcome);
    if let Some(error) = error {
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", error.in_public());
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
        if let Some(cause) = traceparent.and_then(parse) {
            span.add_link(cause);
        }
    }
}

/// The trace context of the current span, if its trace is kept.
pub(crate) fn kept() -> Option<String> {
    spanned().filter(SpanContext::is_sampled).map(|it| spell(&it))
}

/// The trace context for the headers of a call to the world outside; `None` where there is none.
pub fn trace_context() -> Option<TraceContext> {
    current().map(|it| TraceContext::of(&it))
}

/// A request from outside as part of a trace.
#[derive(Debug)]
pub struct Traced {
    /// Its span; disabled where traces go nowhere.
    pub span: Span,
    /// What names it, for the answer and for what is published because of it.
    pub context: TraceContext,
}

/// The span of one request to `route`, continuing the trace that the headers `traceparent` and `tracestate` of the request
/// name. What came in is parsed strictly (the W3C recommendation) and written anew; what is no trace context begins a new
/// trace.
pub fn traced(method: &str, route: &str, traceparent: Option<&str>, tracestate: Option<&str>) -> Traced {
    let parent = read(traceparent, tracestate).or_else(begun_unkept);
    let span = match &parent {
        Some(parent) if !parent.is_sampled() => Span::none(),
        _ => tracing::info_span!(
            target: SPANS,
            "request",
            otel.name = %format_args!("{method} {route}"),
            otel.kind = "server",
            otel.status_code = field::Empty,
            http.request.method = method,
            http.route = route,
            http.response.status_code = field::Empty,
        ),
    };
    under(&span, parent.as_ref());
    let spanned = at(&span);
    let ids = RandomIdGenerator::default();
    let context = spanned.unwrap_or_else(|| {
        let span = ids.new_span_id();
        match parent {
            Some(it) => context(it.trace_id(), span, it.is_sampled(), it.trace_state().clone()),
            None => context(ids.new_trace_id(), span, false, TraceState::NONE),
        }
    });
    let context = TraceContext::of(&context);
    Traced { span, context }
}

/// The id of the trace that this is a part of, if it is kept.
pub(crate) fn current_id() -> Option<String> {
    let kept = spanned().filter(SpanContext::is_sampled);
    kept.map(|it| it.trace_id().to_string())
}

/// The id of the trace that this is a part of, kept or not.
pub(crate) fn id() -> Option<String> {
    current().map(|it| it.trace_id().to_string())
}

/// The span that this is a part of, or else the trace of the message in hand.
fn current() -> Option<SpanContext> {
    spanned().or_else(in_hand::trace)
}

fn spanned() -> Option<SpanContext> {
    at(&Span::current())
}

fn at(span: &Span) -> Option<SpanContext> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn began(came: &str) -> String {
        traced("GET", "/v1/orders", Some(came), None).context.traceparent
    }

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_trace_is_continued_under_another_span() {
        let came = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let written = began(&came);
        assert!(
            written.starts_with(&format!("00-{TRACE}-")) && written.ends_with("-01"),
            "{written}"
        );
        assert_ne!(written, came);
        assert!(parse(&written).is_some());
    }

    #[test]
    fn what_is_not_kept_is_passed_on_without_a_span() {
        let came = format!("00-{TRACE}-00f067aa0ba902b7-00");
        let Traced { span, context } = traced("GET", "/v1/orders", Some(&came), None);
        let traceparent = context.traceparent;
        assert!(span.is_disabled());
        assert!(
            traceparent.starts_with(&format!("00-{TRACE}-")) && traceparent.ends_with("-00"),
            "{traceparent}"
        );
    }

    #[test]
    fn a_later_version_is_read_as_far_as_this_one_goes() {
        for later in ["01-{}-00f067aa0ba902b7-01", "cc-{}-00f067aa0ba902b7-01-what"] {
            let written = began(&later.replace("{}", TRACE));
            assert!(
                written.starts_with(&format!("00-{TRACE}-")),
                "{later} became {written}"
            );
        }
    }

    #[test]
    fn what_is_no_trace_context_begins_a_new_trace() {
        for odd in [
            "",
            "00",
            &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            &format!("01-{TRACE}-00f067aa0ba902b7-01more"),
            &format!("0x-{TRACE}-00f067aa0ba902b7-01"),
            &format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            &format!("00-{TRACE}-0000000000000000-01"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            &format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            &format!("00-{TRACE}-00f067aa0ba902b7-0g"),
            &format!(" 00-{TRACE}-00f067aa0ba902b7-01"),
        ] {
            let written = began(odd);
            assert!(
                parse(&written).is_some() && !written.contains(TRACE),
                "{odd:?} became {written}"
            );
        }
    }

    #[test]
    fn what_others_say_about_a_trace_is_passed_on_unless_it_is_no_list() {
        let came = format!("00-{TRACE}-00f067aa0ba902b7-00");
        let passed = |state: &str| traced("GET", "/", Some(&came), Some(state)).context.tracestate;
        let list = "rojo=00f067aa0ba902b7,congo@tenant=t61rcWkgMzE";
        assert_eq!(passed(list).as_deref(), Some(list));
        assert_eq!(passed(" a=1 ,, b=2").as_deref(), Some("a=1,b=2"));
        let long = format!("a={}", "x".repeat(511));
        for odd in ["", "a", "A=1", "a=1=2", "a=b\r\nc: d", "a=\u{e4}", &long] {
            assert_eq!(passed(odd), None, "{odd:?}");
        }
        let without = traced("GET", "/", None, Some(list)).context;
        assert_eq!(without.tracestate, None, "a state of no trace says nothing");
    }
}
