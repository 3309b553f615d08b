use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_nats::jetstream::{
    Message,
    consumer::{PullConsumer, pull},
};
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use prometheus_client::metrics::counter::Counter;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tracing::Instrument as _;

use crate::{
    AppendError, Nats,
    aside::Aside,
    bounded::bounded,
    broker::Link,
    clock::{dice, now},
    delivery::Delivery,
    faults::{self, Flaw, Point, flawed, reach},
    in_hand::InHand,
    letters::{Letters, Reason},
    metrics::{ByConsumer, ByReason, Serving},
    schedule,
    setback::{Circumstances, Disposition, Setback, disposition},
    sparing::Sparing,
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

/// How long nothing has come before it counts as nothing being on its way.
const QUIET: Duration = Duration::from_millis(50);

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
    ///
    /// All messages of one consumer are worked on by this one task, by turns: what they publish then leaves in few
    /// large writes instead of many small ones, which saves system calls on both ends of the connection.
    pub(crate) async fn run(mut self) {
        let this = Desk::new(
            self.nats.link(),
            self.letters.clone(),
            &self.name,
            self.trigger.clone(),
            self.pace,
        );
        let mut work = FuturesUnordered::new();
        while !*self.stop.borrow() {
            // A panic anywhere but in a handler is a fault of the engine: that message alone expires and comes again.
            let begin = |message| AssertUnwindSafe(this.receive(message)).catch_unwind().map(drop);
            if let Err(error) = self.pull(&mut work, &this, begin).await {
                tracing::warn!(consumer = self.name, stream = self.stream, %error, "the consumer stopped; starting it again");
                let stopped = self.stop.wait_for(|stop| *stop);
                let _ = alongside(&mut work, timeout(Duration::from_millis(500), stopped)).await;
            }
        }
        let limit = Instant::now() + self.pace.drain;
        while let Ok(Some(())) = timeout_at(limit, work.next()).await {}
        if !work.is_empty() {
            tracing::warn!(
                consumer = self.name,
                left = work.len(),
                "drain limit reached; these come again elsewhere"
            );
        }
    }

    /// Begins messages while there is room for them, and goes on with those that were begun. Returns at `stop`, or
    /// with what ended the stream; what is unfinished then stays in `work`.
    async fn pull<W: Future<Output = ()>>(
        &mut self,
        work: &mut FuturesUnordered<W>,
        desk: &Desk<T>,
        begin: impl Fn(Message) -> W,
    ) -> anyhow::Result<()> {
        let (mut messages, ack_wait) = alongside(work, self.messages()).await?;
        desk.heed(ack_wait);
        let _working = Serving::begin(&self.nats.metrics.consumers_working);
        let mut stopped = pin!(self.stop.wait_for(|stop| *stop));
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                message = messages.next(), if desk.has_room(work.len()) => match message {
                    Some(Ok(message)) => work.push(begin(message)),
                    Some(Err(error)) => return Err(error.into()),
                    None => anyhow::bail!("the stream of messages ended"),
                },
                Some(()) = work.next() => {}
            }
        }
        alongside(work, hand_back_the_rest(messages, 2 * self.pace.concurrency)).await;
        Ok(())
    }

    /// The messages, and how long the server waits for a sign of life about each.
    async fn messages(&self) -> anyhow::Result<(pull::Stream, Duration)> {
        let consumer: PullConsumer = self
            .nats
            .jetstream
            .get_consumer_from_stream(self.name.as_str(), self.stream)
            .await?;
        let ack_wait = consumer.cached_info().config.ack_wait;
        let messages = consumer
            .stream()
            .max_messages_per_batch(self.pace.concurrency)
            .expires(Duration::from_secs(30))
            .heartbeat(Duration::from_secs(10))
            .messages();
        Ok((messages.await?, ack_wait))
    }
}

fn rhythm(ack_wait: Duration) -> u64 {
    u64::try_from((ack_wait / 3).as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// Waits for `other`, and goes on with what is in work meanwhile.
async fn alongside<W: Future<Output = ()>, T>(
    work: &mut FuturesUnordered<W>,
    other: impl Future<Output = T>,
) -> T {
    let mut other = pin!(other);
    loop {
        tokio::select! {
            answer = &mut other => return answer,
            Some(()) = work.next() => {}
        }
    }
}

/// Gives back what was pulled and not begun, so that another replica need not wait for it to expire. What was asked
/// for may still be on its way, so it is awaited until nothing has come for [`QUIET`]; the client asks on meanwhile, so
/// no more than `most` is taken. The pull ends before the first is given back: it would come straight here again.
async fn hand_back_the_rest(mut messages: pull::Stream, most: usize) {
    let mut rest = Vec::new();
    while rest.len() < most
        && let Ok(Some(Ok(message))) = timeout(QUIET, messages.next()).await
    {
        rest.push(message);
    }
    drop(messages);
    for delivery in rest.into_iter().filter_map(Delivery::new) {
        delivery.hand_back(Duration::ZERO).await;
    }
}

/// Where the messages of one consumer are handled, however they came.
pub(crate) struct Desk<T> {
    link: Link,
    letters: Letters,
    name: String,
    trigger: Arc<T>,
    pace: Pace,
    labels: ByConsumer,
    deliveries: Counter,
    acknowledged: Counter,
    /// Milliseconds between two signs of life.
    rhythm: AtomicU64,
    aside: Aside,
    failures: Sparing,
    /// The newest version that was left to newer workers; each is told once.
    newest: AtomicU32,
}

impl<T: Trigger> Desk<T> {
    pub(crate) fn new(link: Link, letters: Letters, name: &str, trigger: Arc<T>, pace: Pace) -> Self {
        let labels = ByConsumer::of(name);
        link.metrics.born(name);
        Self {
            failures: Sparing::default(),
            deliveries: link.metrics.deliveries.get_or_create_owned(&labels),
            acknowledged: link.metrics.acknowledged.get_or_create_owned(&labels),
            link,
            letters,
            name: name.to_owned(),
            trigger,
            pace,
            labels,
            rhythm: AtomicU64::new(rhythm(ACK_WAIT)),
            aside: Aside::new(),
            newest: AtomicU32::new(0),
        }
    }

    /// True if another message may be begun while so many are unfinished. What waits to be buried holds no place.
    fn has_room(&self, unfinished: usize) -> bool {
        unfinished.saturating_sub(self.aside.len()) < self.pace.concurrency && !self.aside.is_full()
    }

    /// From now on signs of life come three times in what the server waits for them.
    fn heed(&self, ack_wait: Duration) {
        self.rhythm.store(rhythm(ack_wait), Relaxed);
    }

    /// Handles one message and answers for it. What did not come from a consumer is nobody's.
    async fn receive(&self, message: Message) {
        if let Some(delivery) = Delivery::new(message) {
            self.take(delivery).await;
        }
    }

    /// Handles one message and answers for it.
    pub(crate) async fn take(&self, delivery: Delivery) {
        let metrics = &self.link.metrics;
        self.deliveries.inc();
        if delivery.is_again {
            metrics.redeliveries.get_or_create(&self.labels).inc();
        }
        metrics.in_flight.inc();
        let trace = trace::came(&delivery);
        let span = trace::span(&self.name, &delivery, trace.as_ref());
        faults::survived(
            &self.link,
            &self.name,
            &delivery,
            InHand::new(&delivery, trace).during(self.finish(&delivery).instrument(span)),
        )
        .await;
        metrics.in_flight.dec();
    }

    async fn finish(&self, delivery: &Delivery) {
        match self.handle(delivery).await {
            Ok(()) => {
                self.acknowledged.inc();
                if reach(Point::BeforeAcknowledge).await.is_ok() {
                    delivery.acknowledge().await;
                }
                let _ = reach(Point::Acknowledged).await; // nobody waits for anything any more
            }
            Err(setback) => self.put_off(delivery, &setback).await,
        }
    }

    /// The handler's answer, with signs of life while it works, a limit, and panics caught.
    async fn handle(&self, delivery: &Delivery) -> Result<(), Setback> {
        let work = pin!(self.trigger.handle(delivery)); // pinned once: it is large, and passed on by reference
        self.kept(delivery, bounded(self.pace.limit * EFFECTS, work))
            .await
    }

    /// What `work` comes to; the delivery does not expire meanwhile.
    async fn kept<O>(&self, delivery: &Delivery, work: impl Future<Output = O>) -> O {
        let mut work = pin!(work);
        loop {
            let rhythm = Duration::from_millis(self.rhythm.load(Relaxed));
            match timeout(rhythm, &mut work).await {
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
        if let Setback::Newer(version) = setback {
            self.left_to_newer(*version);
        }
        trace::put_off(setback, &fate);
        if let (Setback::Effect(_), Disposition::HandBack(_) | Disposition::Later(..)) = (setback, &fate)
            && let Some(untold) = self.failures.happened()
        {
            let (consumer, attempt, why) = (&*self.name, it.attempt, setback.in_public());
            tracing::warn!(consumer, attempt, untold, why, "it failed, and is tried again");
        }
        tracing::debug!(
            consumer = self.name,
            subject = delivery.subject,
            attempt = it.attempt,
            setback = setback.in_public(),
            fate = fate.word(),
            "put off"
        );
        let done = match fate {
            Disposition::HandBack(pause) => {
                self.link.metrics.retries.get_or_create(&self.labels).inc();
                delivery.hand_back(pause).await;
                Ok(())
            }
            Disposition::Later(pause, attempt) => self.later(delivery, pause, attempt).await,
            Disposition::Bury(reason, detail) => {
                let burial = self.bury(delivery, reason, &detail);
                self.kept(delivery, burial).await
            }
        };
        if let Err(error) = done {
            tracing::warn!(consumer = self.name, subject = delivery.subject, %error, "not put off; the delivery comes again");
            delivery.hand_back(saga::Retry::SHORT).await;
        }
    }

    /// Counts a message that only a newer worker can handle. Each version is told once, for the message comes again and
    /// again until a newer worker has it, or a day is over.
    fn left_to_newer(&self, version: u32) {
        self.link.metrics.newer.get_or_create(&self.labels).inc();
        if self.newest.fetch_max(version, Relaxed) < version {
            tracing::warn!(
                consumer = self.name,
                version,
                "a newer worker wrote this; it is left to newer workers, for a day"
            );
        }
    }

    /// Makes the delivery a dead letter, in its turn; meanwhile it holds no place.
    async fn bury(&self, delivery: &Delivery, reason: Reason, detail: &str) -> Result<(), AppendError> {
        let aside = self.aside.put(delivery.body.len());
        let _turn = aside.turn().await;
        tracing::warn!(
            consumer = self.name,
            subject = delivery.subject,
            reason = reason.word(),
            "buried; the letter says why"
        );
        self.letters.bury(&self.name, delivery, reason, detail).await?;
        let labels = ByReason {
            consumer: self.name.clone(),
            reason: reason.word(),
        };
        self.link.metrics.letters.get_or_create(&labels).inc();
        delivery.terminate().await;
        Ok(())
    }

    async fn later(&self, delivery: &Delivery, pause: Duration, attempt: u32) -> Result<(), AppendError> {
        self.link.metrics.retries.get_or_create(&self.labels).inc();
        let Some((kind, worker, id)) = self.trigger.address(delivery) else {
            delivery.hand_back(saga::Retry::SHORT).await;
            return Ok(());
        };
        if flawed(Flaw::AckBeforeRetry) {
            delivery.acknowledge().await;
        }
        schedule::later(&self.link, (&kind, &worker, &id), delivery, now(), pause, attempt).await?;
        delivery.acknowledge().await;
        Ok(())
    }
}
