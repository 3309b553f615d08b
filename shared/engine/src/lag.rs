use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use tokio::{sync::watch, time::timeout};

use crate::{Nats, metrics::ByStream};

/// How often the leaders of consumers are asked.
const EVERY: Duration = Duration::from_secs(5);

/// Shows what these consumers have before them, as their leaders say, until `stop`. What is due (retries, deadlines) is
/// what a consumer of `RETRY` or `TIMERS` has before it.
pub(crate) async fn watch(
    nats: Nats,
    consumers: Vec<(&'static str, String)>,
    mut stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
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
