//! The message that a task works on: what its log lines name, and the trace that it belongs to where no span says so.

use std::cell::OnceCell;

use opentelemetry::trace::SpanContext;
use saga::Token;
use tracing::Span;

use crate::{delivery::Delivery, subject};

tokio::task_local! {
    static IN_HAND: InHand;
}

/// The message in hand. It is spelled out only when something is logged.
pub(crate) struct InHand {
    subject: String,
    /// What it is about, where the subject does not say it.
    id: OnceCell<Token>,
    trace: Option<SpanContext>,
}

impl InHand {
    /// This delivery, as a part of this trace.
    pub(crate) fn new(delivery: &Delivery, trace: Option<SpanContext>) -> Self {
        Self {
            subject: delivery.subject.clone(),
            id: OnceCell::new(),
            trace,
        }
    }

    /// It is in hand while `work` is done.
    pub(crate) async fn during<W: Future>(self, work: W) -> W::Output {
        IN_HAND.scope(self, work).await
    }
}

/// The message in hand turns out to be about `id`.
pub(crate) fn is_about(id: &Token) {
    Span::current().record("jetsaga.saga.id", id.as_str());
    let _ = IN_HAND.try_with(|it| it.id.set(id.clone())); // it is said once, and only where something is in hand
}

/// The kind and the id of what the message in hand is about, as far as they are known.
pub(crate) fn about() -> (Option<Token>, Option<Token>) {
    let about = IN_HAND.try_with(|it| {
        let (kind, id) = subject::about(&it.subject);
        (kind, id.or_else(|| it.id.get().cloned()))
    });
    about.unwrap_or_default() // nothing is in hand
}

/// The trace that the message in hand belongs to.
pub(crate) fn trace() -> Option<SpanContext> {
    IN_HAND.try_with(|it| it.trace.clone()).ok().flatten()
}
