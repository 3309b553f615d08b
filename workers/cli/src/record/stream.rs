use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
};
use futures_util::StreamExt as _;
use jetsaga::Nats;
use tokio::time::timeout;

/// Messages that are asked for at a time.
const BATCH: usize = 2_000;
/// How long the next message may take before its consumer counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// Consumers that may be lost in a row, none of them with a message.
const LOSSES: u32 = 5;

/// Gives every message of a stream from `next` to `last`, in order, none twice and none left out, to `take`. The consumer
/// is made for it and is gone when this returns.
///
/// # Errors
/// When the server does not answer, or `take` fails.
pub(super) async fn read(
    nats: &Nats,
    stream: &str,
    mut next: u64,
    last: u64,
    mut take: impl FnMut(&jetstream::Message, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut losses = 0;
    while next <= last {
        ensure!(
            losses < LOSSES,
            "{stream} cannot be read: {losses} consumers of it were lost in a row"
        );
        let consumer = consumer(nats, stream, next).await?;
        let name = consumer.cached_info().name.clone();
        let before = next;
        let done = drain(&consumer, &mut next, last, &mut take).await;
        // Gone with the server's answer, or by itself after its inactivity.
        let _ = nats.jetstream.delete_consumer_from_stream(&name, stream).await;
        if done? {
            return Ok(());
        }
        losses = if next > before { 0 } else { losses + 1 };
    }
    Ok(())
}

/// True once `last` is reached, or nothing is left before it; false if the consumer was lost on the way.
async fn drain(
    consumer: &PullConsumer,
    next: &mut u64,
    last: u64,
    take: &mut impl FnMut(&jetstream::Message, u64) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    if consumer.cached_info().num_pending == 0 {
        return Ok(true);
    }
    let messages = consumer
        .stream()
        .max_messages_per_batch(BATCH)
        .expires(Duration::from_secs(30))
        .heartbeat(Duration::from_secs(5));
    let mut messages = messages.messages().await?;
    let mut place = 0;
    while let Ok(Some(Ok(message))) = timeout(PATIENCE, messages.next()).await {
        let info = message
            .info()
            .map_err(|error| anyhow::anyhow!("a delivery that is none: {error}"))?;
        let (sequence, pending) = (info.stream_sequence, info.pending);
        place += 1;
        if info.consumer_sequence != place {
            return Ok(false); // one was lost
        }
        if sequence > last {
            return Ok(true);
        }
        take(&message, sequence)?;
        *next = sequence + 1;
        if sequence == last || pending == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A consumer for one reading: the server keeps it in memory, and forgets it soon after it is left alone.
async fn consumer(nats: &Nats, stream: &str, from: u64) -> anyhow::Result<PullConsumer> {
    let config = pull::Config {
        name: Some(format!("reading-{:016x}", fastrand::u64(..))),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from },
        ack_policy: AckPolicy::None,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: 2 * PATIENCE,
        ..pull::Config::default()
    };
    let made = nats.jetstream.create_consumer_on_stream(config, stream).await;
    made.with_context(|| format!("{stream} cannot be read"))
}
