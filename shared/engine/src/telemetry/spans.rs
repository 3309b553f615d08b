//! Spans on their way out: a bounded queue that nobody waits for, and a count of what did not fit or was not taken.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor},
};
use prometheus_client::metrics::counter::Counter;

/// Spans in one request, at most.
const BATCH: usize = 512;

/// Hands ended spans to `exporter` in batches, on a thread of its own. At most `most` spans wait, and no longer than `delay` before they go; `dropped` counts every
/// span that found no place, and every one in a batch that the receiver did not take.
pub(super) fn batches<E: SpanExporter + 'static>(
    exporter: E,
    most: usize,
    delay: Duration,
    dropped: Counter,
) -> Batches {
    let queue = Arc::new(Queue {
        most,
        held: AtomicUsize::new(0),
        dropped,
    });
    let told = Told {
        exporter,
        queue: queue.clone(),
        failing: AtomicBool::new(false),
    };
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(most)
        .with_scheduled_delay(delay)
        .with_max_export_batch_size(BATCH.min(most))
        .build();
    let next = BatchSpanProcessor::builder(told)
        .with_batch_config(config)
        .build();
    Batches { next, queue }
}

/// What is on its way.
#[derive(Debug)]
struct Queue {
    most: usize,
    held: AtomicUsize,
    dropped: Counter,
}

/// The processor of the library, which is never handed more than it holds: it would drop the rest without a word.
#[derive(Debug)]
pub(super) struct Batches {
    next: BatchSpanProcessor,
    queue: Arc<Queue>,
}

impl SpanProcessor for Batches {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.next.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.queue.held.fetch_add(1, Relaxed) < self.queue.most {
            self.next.on_end(span);
        } else {
            self.queue.held.fetch_sub(1, Relaxed);
            self.queue.dropped.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let ended = self.next.shutdown_with_timeout(timeout);
        self.queue.dropped.inc_by(self.queue.held.swap(0, Relaxed) as u64);
        ended
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// An exporter that says when it begins to fail, and when it is well again.
#[derive(Debug)]
struct Told<E> {
    exporter: E,
    queue: Arc<Queue>,
    failing: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let free = |held: usize| Some(held.saturating_sub(spans));
        let _ = self.queue.held.fetch_update(Relaxed, Relaxed, free); // it always has a value
        let answer = self.exporter.export(batch).await;
        match &answer {
            Ok(()) => {
                if self.failing.swap(false, Relaxed) {
                    tracing::info!("spans are taken again");
                }
            }
            Err(error) => {
                self.queue.dropped.inc_by(spans as u64);
                if !self.failing.swap(true, Relaxed) {
                    tracing::warn!(%error, "spans are not taken; they are dropped until they are");
                }
            }
        }
        answer
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex, PoisonError};

    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::{error::OTelSdkError, trace::SdkTracerProvider};

    use super::*;

    /// Takes nothing before it is opened, and then as it was told.
    #[derive(Clone, Debug, Default)]
    struct Gate(Arc<(Mutex<Seen>, Condvar)>);

    #[derive(Debug, Default)]
    struct Seen {
        open: bool,
        refuses: bool,
        waiting: bool,
        taken: u64,
    }

    impl Gate {
        fn set(&self, change: impl FnOnce(&mut Seen)) {
            change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
            self.0.1.notify_all();
        }

        fn wait(&self, what: impl Fn(&Seen) -> bool) -> u64 {
            let seen = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (seen, late) = self
                .0
                .1
                .wait_timeout_while(seen, Duration::from_secs(30), |seen| !what(seen))
                .unwrap_or_else(PoisonError::into_inner);
            assert!(!late.timed_out(), "{seen:?}");
            seen.taken
        }
    }

    impl SpanExporter for Gate {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.set(|seen| seen.waiting = true);
            self.wait(|seen| seen.open);
            let mut refused = false;
            self.set(|seen| {
                refused = seen.refuses;
                if !refused {
                    seen.taken += batch.len() as u64;
                }
            });
            match refused {
                true => Err(OTelSdkError::InternalFailure("no".to_owned())),
                false => Ok(()),
            }
        }
    }

    fn provider(gate: &Gate, most: usize, dropped: &Counter) -> SdkTracerProvider {
        SdkTracerProvider::builder()
            .with_span_processor(batches(
                gate.clone(),
                most,
                Duration::from_secs(5),
                dropped.clone(),
            ))
            .build()
    }

    #[test]
    fn every_span_is_taken_or_counted_as_dropped() {
        let (gate, dropped) = (Gate::default(), Counter::default());
        let provider = provider(&gate, 10, &dropped);
        let tracer = provider.tracer("test");
        for _ in 0..10 {
            drop(tracer.start("a span"));
        }
        gate.wait(|seen| seen.waiting); // the first batch has left the queue, and hangs
        for _ in 0..100 {
            drop(tracer.start("a span"));
        }
        assert!(
            dropped.get() >= 90,
            "a full queue holds nobody up: {}",
            dropped.get()
        );
        gate.set(|seen| seen.open = true);
        provider.shutdown().unwrap();
        assert_eq!(gate.wait(|_| true) + dropped.get(), 110);
    }

    #[test]
    fn what_the_receiver_refuses_is_dropped() {
        let (gate, dropped) = (Gate::default(), Counter::default());
        gate.set(|seen| (seen.open, seen.refuses) = (true, true));
        let provider = provider(&gate, 100, &dropped);
        let tracer = provider.tracer("test");
        for _ in 0..7 {
            drop(tracer.start("a span"));
        }
        let _ = provider.shutdown(); // it says that the last batch failed
        assert_eq!((gate.wait(|_| true), dropped.get()), (0, 7));
    }
}
