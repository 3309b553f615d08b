use std::time::Duration;

use anyhow::{Context as _, bail};
use async_nats::jetstream;
use checkout::books::{Leftover, Scheduled};
use futures_util::{StreamExt as _, TryStreamExt as _};
use jetsaga::{
    Nats,
    subject::{EVENTS, INBOX, RETRY, TIMERS},
};
use tokio::time::{Instant, sleep};

/// The streams that give workers something to do. Whatever happens is stored in one of them.
const AT_WORK: [&str; 4] = [INBOX, EVENTS, RETRY, TIMERS];

/// Waits until nothing is under way: every durable consumer has done its work, no retry is scheduled, and nothing was
/// stored meanwhile. Deadlines may still be scheduled.
///
/// # Errors
/// When it takes longer than `limit`; the error names what is left.
pub async fn until_rest(nats: &Nats, limit: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + limit;
    let mut rest = Rest::default();
    while let Some(left) = rest.left(&nats.jetstream).await? {
        if Instant::now() >= deadline {
            bail!("not at rest after {limit:?}: {left}");
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Tells whether a system is at rest, by two looks at least.
///
/// One look proves nothing: what is scheduled may be handed out between the question who has something in hand and the one
/// what is scheduled, and a consumer counts what was stored a moment later. Two looks do that find nothing, with nothing
/// stored from the beginning of the one to the beginning of the other.
#[derive(Debug, Default)]
pub struct Rest {
    /// Where the streams ended when the last look began, if it found nothing.
    before: Option<Ends>,
}

/// The last sequences of the streams.
type Ends = [u64; AT_WORK.len()];

impl Rest {
    /// What is left to do, in words; `None` if the system is at rest. Deadlines may still be scheduled.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn left(&mut self, jetstream: &jetstream::Context) -> anyhow::Result<Option<String>> {
        let before = self.before.take();
        let ends = ends(jetstream).await?;
        let left = left(jetstream).await?;
        if !left.is_empty() {
            return Ok(Some(left.join(", ")));
        }
        self.before = Some(ends);
        Ok((before != self.before).then(|| "something happened just now".to_owned()))
    }
}

/// What is left to do, in words.
async fn left(jetstream: &jetstream::Context) -> anyhow::Result<Vec<String>> {
    let mut left = Vec::new();
    for Leftover {
        stream,
        consumer,
        pending,
        ack_pending,
    } in leftovers(jetstream).await?
    {
        if pending + ack_pending > 0 {
            left.push(format!(
                "{consumer} on {stream} has {pending} pending, {ack_pending} not acknowledged"
            ));
        }
    }
    left.extend(
        scheduled(jetstream, RETRY, "retry.>")
            .await?
            .into_iter()
            .map(|it| it.subject),
    );
    Ok(left)
}

/// How often a system is looked at whose consumers have nothing to do, though something happens in every look.
const LOOKS: u32 = 50;

/// What the consumers have left to do and what is scheduled, so that what goes from one to the other is in one of them; no
/// schedules if that cannot be told. Where a consumer has something left nothing is concluded from what is not scheduled, so
/// it matters only where none has: then nothing may be stored from the beginning of the look before to the end of this one.
pub(super) async fn to_do(
    jetstream: &jetstream::Context,
) -> anyhow::Result<(Vec<Leftover>, Option<Vec<Scheduled>>)> {
    let mut before = None;
    for _ in 0..LOOKS {
        let began = ends(jetstream).await?;
        let mut schedules = scheduled(jetstream, RETRY, "retry.>").await?;
        schedules.extend(scheduled(jetstream, TIMERS, "timer.>").await?);
        let leftovers = leftovers(jetstream).await?;
        let idle = leftovers.iter().all(|it| it.pending + it.ack_pending == 0);
        if !idle || (before == Some(began) && ends(jetstream).await? == began) {
            return Ok((leftovers, Some(schedules)));
        }
        before = Some(began);
    }
    Ok((leftovers(jetstream).await?, None))
}

async fn ends(jetstream: &jetstream::Context) -> anyhow::Result<Ends> {
    let mut ends = Ends::default();
    for (end, name) in ends.iter_mut().zip(AT_WORK) {
        *end = last(jetstream, name).await?;
    }
    Ok(ends)
}

/// What each durable consumer has left to do.
async fn leftovers(jetstream: &jetstream::Context) -> anyhow::Result<Vec<Leftover>> {
    let mut leftovers = Vec::new();
    for name in AT_WORK {
        let stream = jetstream.get_stream_no_info(name).await?;
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
async fn scheduled(
    jetstream: &jetstream::Context,
    name: &str,
    filter: &str,
) -> anyhow::Result<Vec<Scheduled>> {
    let stream = jetstream.get_stream_no_info(name).await?;
    let subjects = stream.info_with_subjects(filter).await;
    let subjects = subjects.with_context(|| format!("{name} cannot be read"))?;
    let scheduled = subjects.map_ok(|(subject, _)| Scheduled {
        stream: name.to_owned(),
        subject,
    });
    Ok(scheduled.try_collect().await?)
}

/// The last sequence of a stream.
pub(super) async fn last(jetstream: &jetstream::Context, name: &str) -> anyhow::Result<u64> {
    let stream = jetstream.get_stream(name).await;
    let stream = stream.with_context(|| format!("there is no stream {name}"))?;
    Ok(stream.cached_info().state.last_sequence)
}
