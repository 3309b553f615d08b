use std::time::Duration;

use anyhow::{Context as _, bail};
use checkout::books::{Leftover, Scheduled};
use futures_util::{StreamExt as _, TryStreamExt as _};
use jetsaga::{
    Nats,
    subject::{EVENTS, INBOX, RETRY, TIMERS},
};
use tokio::time::{Instant, sleep};

/// Waits until nothing is under way: every durable consumer has done its work, no retry is scheduled, and nothing was
/// appended meanwhile. Deadlines may still be scheduled.
///
/// # Errors
/// When it takes longer than `limit`; the error names what is left.
pub async fn until_rest(nats: &Nats, limit: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + limit;
    let mut before = None;
    loop {
        let end = last(nats, EVENTS).await?;
        let left = left(nats).await?;
        if left.is_empty() && before == Some(end) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("not at rest after {limit:?}: {}", left.join(", "));
        }
        before = left.is_empty().then_some(end);
        sleep(Duration::from_millis(20)).await;
    }
}

/// What is left to do, in words.
async fn left(nats: &Nats) -> anyhow::Result<Vec<String>> {
    let mut left = Vec::new();
    for Leftover {
        stream,
        consumer,
        pending,
        ack_pending,
    } in leftovers(nats).await?
    {
        if pending + ack_pending > 0 {
            left.push(format!(
                "{consumer} on {stream} has {pending} pending, {ack_pending} not acknowledged"
            ));
        }
    }
    left.extend(
        scheduled(nats, RETRY, "retry.>")
            .await?
            .into_iter()
            .map(|it| it.subject),
    );
    Ok(left)
}

/// What each durable consumer has left to do.
pub(super) async fn leftovers(nats: &Nats) -> anyhow::Result<Vec<Leftover>> {
    let mut leftovers = Vec::new();
    for name in [INBOX, EVENTS, RETRY, TIMERS] {
        let stream = nats.jetstream.get_stream_no_info(name).await?;
        let mut consumers = stream.consumers();
        while let Some(info) = consumers.next().await {
            let info = info.with_context(|| format!("the consumers of {name} cannot be listed"))?;
            if info.config.durable_name.is_some() {
                leftovers.push(Leftover {
                    stream: name.to_owned(),
                    consumer: info.name,
                    pending: info.num_pending,
                    ack_pending: info.num_ack_pending as u64,
                });
            }
        }
    }
    Ok(leftovers)
}

/// The messages on `filter` that the server still has to send.
pub(super) async fn scheduled(nats: &Nats, name: &str, filter: &str) -> anyhow::Result<Vec<Scheduled>> {
    let stream = nats.jetstream.get_stream_no_info(name).await?;
    let subjects = stream.info_with_subjects(filter).await;
    let subjects = subjects.with_context(|| format!("{name} cannot be read"))?;
    let scheduled = subjects.map_ok(|(subject, _)| Scheduled {
        stream: name.to_owned(),
        subject,
    });
    Ok(scheduled.try_collect().await?)
}

/// The last sequence of a stream.
pub(super) async fn last(nats: &Nats, name: &str) -> anyhow::Result<u64> {
    let stream = nats.jetstream.get_stream(name).await;
    let stream = stream.with_context(|| format!("there is no stream {name}"))?;
    Ok(stream.cached_info().state.last_sequence)
}
