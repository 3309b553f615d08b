use std::time::Duration;

use anyhow::ensure;
use async_nats::{HeaderMap, HeaderValue};
use engine::subject::{RETRY, TIMERS};
use saga::Timestamp;

use super::Place;

const SECOND: Duration = Duration::from_secs(1);

/// A scheduled message is published when its time has come and not before, with its own headers, once.
pub(super) async fn future(place: &Place) -> anyhow::Result<()> {
    let name = "future";
    place
        .employ(RETRY, name, "due.future.worker.*.*", 60 * SECOND, 100)
        .await?;
    let at = place.now().after(2 * SECOND);
    let mut headers = schedule(at, "due.future.worker.A.7")?;
    headers.insert("Jetsaga-Attempt", HeaderValue::from(3_u64));
    place.publish("retry.future.worker.A.7", headers, "body").await?;
    let fired = place.take(RETRY, name).await?.arrival;
    ensure!(place.now() >= at, "it comes before its time");
    ensure!(
        place.now().since(at) < 2 * SECOND,
        "it comes {:?} late",
        place.now().since(at)
    );
    ensure!(
        fired.subject == "due.future.worker.A.7" && fired.body == "body",
        "it is what was scheduled: {fired:?}"
    );
    let header = fired.headers.get("Jetsaga-Attempt").map(HeaderValue::as_str);
    ensure!(header == Some("3"), "it keeps its own headers: {header:?}");
    ensure!(
        fired.headers.get("Nats-Schedule").is_none(),
        "it is no schedule any more"
    );
    ensure!(fired.delivered == 1, "it is new");
    none(place, RETRY, name).await?;
    let pending = place.link.broker.next(RETRY, "retry.future.>", 1).await?;
    ensure!(pending.is_none(), "the schedule is gone: {pending:?}");
    Ok(())
}

/// A time that is over has come.
pub(super) async fn past(place: &Place) -> anyhow::Result<()> {
    let name = "past";
    place
        .employ(TIMERS, name, "due.past.*.deadline", 60 * SECOND, 100)
        .await?;
    let headers = schedule(Timestamp::EPOCH.after(1_000_000 * SECOND), "due.past.A.deadline")?;
    place.publish("timer.past.A.deadline", headers, "").await?;
    let fired = place.take(TIMERS, name).await?.arrival;
    ensure!(fired.subject == "due.past.A.deadline", "{fired:?}");
    Ok(())
}

/// A schedule that is armed twice for one time fires once.
pub(super) async fn again(place: &Place) -> anyhow::Result<()> {
    let name = "again";
    place
        .employ(TIMERS, name, "due.again.*.deadline", 60 * SECOND, 100)
        .await?;
    let at = place.now().after(2 * SECOND);
    for _ in 0..2 {
        let headers = schedule(at, "due.again.A.deadline")?;
        place.publish("timer.again.A.deadline", headers, "").await?;
    }
    let fired = place.take(TIMERS, name).await?.arrival;
    ensure!(fired.subject == "due.again.A.deadline", "{fired:?}");
    none(place, TIMERS, name).await
}

fn schedule(at: Timestamp, target: &str) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Schedule", format!("@at {at}").parse::<HeaderValue>()?);
    headers.insert("Nats-Schedule-Target", target.parse::<HeaderValue>()?);
    headers.insert("Nats-Schedule-TTL", "720h".parse::<HeaderValue>()?);
    Ok(headers)
}

async fn none(place: &Place, stream: &'static str, name: &str) -> anyhow::Result<()> {
    let taken = place.take_within(stream, name, 2 * SECOND).await?;
    let taken = taken.map(|taken| taken.arrival);
    ensure!(taken.is_none(), "it comes once: {taken:?}");
    Ok(())
}
