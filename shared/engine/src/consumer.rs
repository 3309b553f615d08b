use std::{future::Future, sync::Arc, time::Duration};

use async_nats::jetstream::consumer::{PullConsumer, pull};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tracing::Instrument as _;

use crate::{
    Nats,
    bounded::bounded,
    clock::{dice, now},
    delivery::Delivery,
    letters::Letters,
    metrics::{ByConsumer, ByReason},
    schedule,
    setback::{Circumstances, Disposition, Setback, disposition},
    topology::ACK_WAIT,
    trace,
};

/// What a consumer does with each message. One value serves every message of one consumer name.
pub(crate) trait Trigger: Send + Sync + 'static {
    /// Does all that the journal owes for this message. `Ok` means that it owes nothing any more.
    fn handle(&self, delivery: &Delivery) -> impl Future<Output = Result<(), Setback>> + Send;

    /// How failed attempts are spaced.
    fn retry(&self) -> saga::Retry;

    /// The retry address of a message: kind, worker and id; `None` if it cannot be told.
    fn address(&self, delivery: &Delivery) -> Option<(saga::Token, String, saga::Token)>;

    /// True if a message that used up its attempts becomes a dead letter.
    fn buries(&self) -> bool;
}

/// How a consumer is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Messages in work at once.
    pub(crate) concurrency: usize,
    /// How long one effect may take before it counts as failed.
    pub(crate) limit: Duration,
    /// How long the drain may take.
    pub(crate) drain: Duration,
}

/// The most effects that one message makes, each within its limit, with room for the journal between them: run,
/// settle, undo.
const EFFECTS: u32 = 4;

/// One durable consumer of one stream, run until told to stop.
pub(crate) struct ConsumerLoop<T> {
    pub(crate) nats: Nats,
    pub(crate) letters: Letters,
    pub(crate) stream: &'static str,
    pub(crate) name: String,
    pub(crate) trigger: Arc<T>,
    pub(crate) pace: Pace,
    pub(crate) stop: watch::Receiver<bool>,
}

impl<T: Trigger> ConsumerLoop<T> {
    /// Pulls and handles messages until `stop`; then pulls no more, hands back what it had not begun, finishes
    /// what it had, and returns. What is still in work after the drain limit is left for redelivery.
    pub(crate) async fn run(mut self) {
        let work = Arc::new(Semaphore::new(self.pace.concurrency));
        let mut tasks = JoinSet::new();
        let this = Arc::new(Shared {
            nats: self.nats.clone(),
            letters: self.letters.clone(),
            name: self.name.clone(),
            trigger: self.trigger.clone(),
            pace: self.pace,
            labels: ByConsumer::of(&self.name),
        });
        while !*self.stop.borrow() {
            if let Err(error) = self.pull(&this, &work, &mut tasks).await {
                tracing::warn!(consumer = self.name, stream = self.stream, %error, "the consumer stopped; starting it again");
                let mut stop = self.stop.clone();
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(500)) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            }
        }
        let limit = Instant::now() + self.pace.drain;
        while let Ok(Some(_)) = timeout_at(limit, tasks.join_next()).await {}
        if !tasks.is_empty() {
            tracing::warn!(
                consumer = self.name,
                left = tasks.len(),
                "drain limit reached; these come again elsewhere"
            );
        }
    }

    /// Takes messages while there is room for them. Returns at `stop`, or with what ended the stream.
    async fn pull(
        &mut self,
        shared: &Arc<Shared<T>>,
        work: &Arc<Semaphore>,
        tasks: &mut JoinSet<()>,
    ) -> anyhow::Result<()> {
        let consumer: PullConsumer = self
            .nats
            .jetstream
            .get_consumer_from_stream(self.name.as_str(), self.stream)
            .await?;
        let mut messages = consumer
            .stream()
            .max_messages_per_batch(self.pace.concurrency)
            .expires(Duration::from_secs(30))
            .heartbeat(Duration::from_secs(10))
            .messages()
            .await?;
        loop {
            let permit = tokio::select! {
                permit = work.clone().acquire_owned() => permit?,
                _ = self.stop.wait_for(|stop| *stop) => break,
            };
            let message = tokio::select! {
                message = messages.next() => message,
                _ = self.stop.wait_for(|stop| *stop) => break,
            };
            match message {
                Some(Ok(message)) => shared.clone().start(message, permit, tasks),
                Some(Err(error)) => return Err(error.into()),
                None => anyhow::bail!("the stream of messages ended"),
            }
            while tasks.try_join_next().is_some() {}
        }
        hand_back_the_rest(messages).await;
        Ok(())
    }
}

/// Gives back what was pulled and not begun, so that another replica need not wait for it to expire.
async fn hand_back_the_rest(mut messages: pull::Stream) {
    while let Some(Some(Ok(message))) = messages.next().now_or_never() {
        if let Some(delivery) = Delivery::new(message) {
            delivery.hand_back(Duration::ZERO).await;
        }
    }
}

struct Shared<T> {
    nats: Nats,
    letters: Letters,
    name: String,
    trigger: Arc<T>,
    pace: Pace,
    labels: ByConsumer,
}

impl<T: Trigger> Shared<T> {
    fn start(
        self: Arc<Self>,
        message: async_nats::jetstream::Message,
        permit: OwnedSemaphorePermit,
        tasks: &mut JoinSet<()>,
    ) {
        let Some(delivery) = Delivery::new(message) else {
            return;
        };
        let metrics = &self.nats.metrics;
        metrics.deliveries.get_or_create(&self.labels).inc();
        if delivery.is_again {
            metrics.redeliveries.get_or_create(&self.labels).inc();
        }
        tasks.spawn(async move {
            self.nats.metrics.in_flight.inc();
            let span = trace::span(&self.name, &delivery);
            self.finish(&delivery).instrument(span).await;
            self.nats.metrics.in_flight.dec();
            drop(permit);
        });
    }

    /// Handles one message and answers for it.
    async fn finish(&self, delivery: &Delivery) {
        match self.handle(delivery).await {
            Ok(()) => {
                self.nats.metrics.acknowledged.get_or_create(&self.labels).inc();
                delivery.acknowledge().await;
            }
            Err(setback) => self.put_off(delivery, &setback).await,
        }
    }

    /// The handler's answer, with signs of life while it works, a limit, and panics caught.
    async fn handle(&self, delivery: &Delivery) -> Result<(), Setback> {
        let work = bounded(self.pace.limit * EFFECTS, self.trigger.handle(delivery));
        tokio::pin!(work);
        loop {
            match timeout(ACK_WAIT / 3, &mut work).await {
                Ok(result) => return result,
                Err(_) => delivery.extend().await,
            }
        }
    }

    /// Does what [`disposition`] says. If NATS will not have it, the delivery expires and comes again.
    async fn put_off(&self, delivery: &Delivery, setback: &Setback) {
        let it = Circumstances {
            attempt: delivery.attempt,
            since: delivery.since,
            now: now(),
            dice: dice(),
            soon: delivery.counts_on,
            buries: self.trigger.buries(),
        };
        let fate = disposition(setback, &self.trigger.retry(), it);
        tracing::Span::current().record("jetsaga.setback", tracing::field::display(setback));
        tracing::debug!(
            consumer = self.name,
            subject = delivery.subject,
            attempt = it.attempt,
            %setback,
            ?fate,
            "put off"
        );
        let done = match fate {
            Disposition::HandBack(pause) => {
                self.nats.metrics.retries.get_or_create(&self.labels).inc();
                delivery.hand_back(pause).await;
                Ok(())
            }
            Disposition::Later(pause, attempt) => self.later(delivery, pause, attempt).await,
            Disposition::Bury(reason, detail) => {
                let labels = ByReason {
                    consumer: self.name.clone(),
                    reason: reason.word(),
                };
                tracing::warn!(
                    consumer = self.name,
                    subject = delivery.subject,
                    reason = reason.word(),
                    detail,
                    "buried"
                );
                let buried = self.letters.bury(&self.name, delivery, reason, &detail).await;
                if buried.is_ok() {
                    self.nats.metrics.letters.get_or_create(&labels).inc();
                    delivery.terminate().await;
                }
                buried
            }
        };
        if let Err(error) = done {
            tracing::warn!(consumer = self.name, subject = delivery.subject, %error, "not put off; the delivery comes again");
            delivery.hand_back(saga::Retry::SHORT).await;
        }
    }

    async fn later(
        &self,
        delivery: &Delivery,
        pause: Duration,
        attempt: u32,
    ) -> Result<(), crate::AppendError> {
        self.nats.metrics.retries.get_or_create(&self.labels).inc();
        let Some((kind, worker, id)) = self.trigger.address(delivery) else {
            delivery.hand_back(saga::Retry::SHORT).await;
            return Ok(());
        };
        schedule::later(&self.nats, (&kind, &worker, &id), delivery, now(), pause, attempt).await?;
        delivery.acknowledge().await;
        Ok(())
    }
}
