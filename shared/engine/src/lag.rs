use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use crate::{
    Nats,
    metrics::{ByBucket, ByStream},
    subject::{KV_STATE, TIMERS},
};

/// How often the leaders of consumers are asked.
const EVERY: Duration = Duration::from_secs(5);

/// Shows what these consumers have before them, as their leaders say, until `stop`. What is due (retries, deadlines) is
/// what a consumer of `RETRY` or `TIMERS` has before it. Whoever owns sagas, and so hears their timers, shows as well how
/// long the server has not filled the bucket of their states.
pub(crate) async fn watch(
    nats: Nats,
    consumers: Vec<(&'static str, String)>,
    mut stop: watch::Receiver<bool>,
) {
    let owns = consumers.iter().any(|(stream, _)| *stream == TIMERS);
    let mut read = Instant::now();
    while !*stop.borrow() {
        if owns {
            bucket(&nats, &mut read).await;
        }
        for (stream, name) in &consumers {
            let asked = nats.jetstream.get_consumer_from_stream(name.as_str(), *stream);
            let consumer: PullConsumer = match asked.await {
                Ok(consumer) => consumer,
                Err(error) => {
                    tracing::debug!(consumer = name, stream, %error, "its lag is not known");
                    continue;
                }
            };
            let info = consumer.cached_info();
            let labels = ByStream {
                consumer: name.clone(),
                stream,
            };
            let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            let metrics = &nats.metrics;
            metrics
                .pending
                .get_or_create(&labels)
                .set(number(info.num_pending));
            metrics
                .unacknowledged
                .get_or_create(&labels)
                .set(number(info.num_ack_pending as u64));
        }
        let _ = timeout(EVERY, stop.wait_for(|stop| *stop)).await; // either will do
    }
}

/// Shows how long ago the server last read the journal for the bucket; `read` is when it did, as far as is known. A source
/// that the server has not begun to read, as after an election, says nothing of itself; its lag is 0 meanwhile.
async fn bucket(nats: &Nats, read: &mut Instant) {
    let bucket = match nats.jetstream.get_stream(KV_STATE).await {
        Ok(bucket) => bucket,
        Err(error) => {
            tracing::debug!(stream = KV_STATE, %error, "whether it is filled is not known");
            return;
        }
    };
    let sources = &bucket.cached_info().sources;
    let last = sources.iter().filter_map(|source| source.active).max();
    if let Some(read_at) = last.and_then(|ago| Instant::now().checked_sub(ago)) {
        *read = (*read).max(read_at);
    }
    let seconds = read.elapsed().as_secs();
    let unread = nats
        .metrics
        .bucket_unread
        .get_or_create(&ByBucket { bucket: "STATE" });
    unread.set(i64::try_from(seconds).unwrap_or(i64::MAX));
}
