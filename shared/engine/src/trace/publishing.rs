use async_nats::{HeaderMap, HeaderValue};
use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::trace::Span;

use super::{TRACER, TraceContext, spanned};
use crate::{AppendError, in_hand, subject};

/// A message on its way, with a span if its trace is kept. The span is made by hand: by way of `tracing` it costs
/// more, and there is one for every message.
#[derive(Debug)]
pub struct Publishing(Option<Span>);

impl Publishing {
    /// Begins to publish to `subject`, and writes the place in the trace into `headers`: whoever takes the message is a
    /// part of it. What came from outside is never copied: it was parsed, and is written anew.
    pub fn begin(subject: &str, headers: &mut HeaderMap) -> Self {
        let here = spanned();
        let span = here.and_then(|here| span(subject, &Context::new().with_remote_span_context(here)));
        let place = span.as_ref().map(|span| span.span_context().clone());
        let place = place.or_else(in_hand::trace).as_ref().map(TraceContext::of);
        for (name, value) in place.iter().flat_map(TraceContext::headers) {
            if let Ok(value) = value.parse::<HeaderValue>() {
                headers.insert(name, value);
            }
        }
        Self(span)
    }

    /// Ends it with what came of it. That somebody else was first is no error: it is decided again.
    pub fn end(self, answer: Result<&u64, &AppendError>) {
        let Some(mut span) = self.0 else { return };
        match answer {
            Ok(_) => {}
            Err(AppendError::Stale { .. } | AppendError::InFlight) => {
                span.set_attribute(KeyValue::new("jetsaga.outcome", "conflict"));
            }
            Err(AppendError::Unknown(_)) => failed(&mut span, "no answer"),
            Err(AppendError::Refused { .. }) => failed(&mut span, "refused"),
        }
        span.end();
    }
}

fn span(subject: &str, within: &Context) -> Option<Span> {
    let tracer = TRACER.get()?;
    let template = subject::template(subject).into_owned();
    let builder = tracer
        .span_builder(format!("publish {template}"))
        .with_kind(SpanKind::Producer)
        .with_attributes([
            KeyValue::new("messaging.system", "nats"),
            KeyValue::new("messaging.operation.name", "publish"),
            KeyValue::new("messaging.operation.type", "send"),
            KeyValue::new("messaging.destination.name", subject.to_owned()),
            KeyValue::new("messaging.destination.template", template),
        ]);
    Some(builder.start_with_context(tracer, within))
}

fn failed(span: &mut Span, why: &'static str) {
    span.set_attribute(KeyValue::new("error.type", why));
    span.set_status(Status::error(""));
}
