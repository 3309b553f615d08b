use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_nats::{HeaderMap, jetstream::AckKind};
use engine::{
    broker::Source,
    subject::{EVENTS, INBOX},
};

use super::{Place, place::Taken};

const SECOND: Duration = Duration::from_secs(1);
/// Long enough for an answer to arrive, short enough not to be an acknowledgement wait.
const MOMENT: Duration = Duration::from_millis(400);

/// Answers: done, again after a while, never again; and how often a message was handed out.
pub(super) async fn answers(place: &Place) -> anyhow::Result<()> {
    let name = "answers";
    place
        .employ(EVENTS, name, "evt.answers.*.*", 60 * SECOND, 100)
        .await?;
    let one = place.publish("evt.answers.One.A", HeaderMap::new(), "1").await?;
    let two = place.publish("evt.answers.Two.A", HeaderMap::new(), "2").await?;
    let first = place.take(EVENTS, name).await?;
    let second = place.take(EVENTS, name).await?;
    is(&first, one, 1)?;
    is(&second, two, 1)?;
    ensure!(
        first.arrival.subject == "evt.answers.One.A" && first.arrival.body == "1",
        "it is what was published"
    );
    answer(place, &first, AckKind::Nak(Some(3 * SECOND))).await?;
    answer(place, &second, AckKind::Ack).await?;
    let early = place.take_within(EVENTS, name, MOMENT).await?;
    ensure!(early.is_none(), "it is handed out again before its time");
    let again = place.take(EVENTS, name).await?;
    is(&again, one, 2)?;
    answer(place, &again, AckKind::Nak(Some(Duration::ZERO))).await?;
    let again = place.take(EVENTS, name).await?;
    is(&again, one, 3)?;
    answer(place, &again, AckKind::Term).await?;
    none(place, EVENTS, name, 2 * SECOND).await
}

/// What is not answered in time is handed out again; the late answer counts.
pub(super) async fn expiry(place: &Place) -> anyhow::Result<()> {
    let name = "expiry";
    place.employ(EVENTS, name, "evt.expiry.*.*", SECOND, 100).await?;
    let one = place.publish("evt.expiry.One.A", HeaderMap::new(), "1").await?;
    let first = place.take(EVENTS, name).await?;
    is(&first, one, 1)?;
    let second = place.take(EVENTS, name).await?;
    is(&second, one, 2)?;
    answer(place, &first, AckKind::Ack).await?;
    none(place, EVENTS, name, 3 * SECOND).await
}

/// Signs of life keep a message from being handed out again.
pub(super) async fn signs_of_life(place: &Place) -> anyhow::Result<()> {
    let name = "signs";
    place.employ(EVENTS, name, "evt.signs.*.*", SECOND, 100).await?;
    let one = place.publish("evt.signs.One.A", HeaderMap::new(), "1").await?;
    let taken = place.take(EVENTS, name).await?;
    for _ in 0..5 {
        answer(place, &taken, AckKind::Progress).await?;
        let early = place.take_within(EVENTS, name, MOMENT).await?;
        ensure!(early.is_none(), "it is handed out again while it is worked on");
    }
    is(&place.take(EVENTS, name).await?, one, 2)?;
    answer(place, &taken, AckKind::Ack).await
}

/// No more is handed out than may be unanswered, and a message that waits to come again needs no room.
pub(super) async fn window(place: &Place) -> anyhow::Result<()> {
    let name = "window";
    place
        .employ(EVENTS, name, "evt.window.*.*", 60 * SECOND, 1)
        .await?;
    let one = place.publish("evt.window.One.A", HeaderMap::new(), "1").await?;
    let two = place.publish("evt.window.Two.A", HeaderMap::new(), "2").await?;
    let first = place.take(EVENTS, name).await?;
    is(&first, one, 1)?;
    none(place, EVENTS, name, MOMENT).await?;
    answer(place, &first, AckKind::Ack).await?;
    let second = place.take(EVENTS, name).await?;
    is(&second, two, 1)?;
    answer(place, &second, AckKind::Ack).await
}

/// What is acknowledged leaves the inbox.
pub(super) async fn work_queue(place: &Place) -> anyhow::Result<()> {
    let name = "queue";
    place.employ(INBOX, name, "in.queue.*", 60 * SECOND, 100).await?;
    let one = place.publish("in.queue.One", HeaderMap::new(), "1").await?;
    let two = place.publish("in.queue.Two", HeaderMap::new(), "2").await?;
    let first = place.take(INBOX, name).await?;
    is(&first, one, 1)?;
    answer(place, &first, AckKind::Ack).await?;
    let left = place.link.broker.next(INBOX, "in.queue.>", 1).await?;
    ensure!(
        left.is_some_and(|left| left.sequence == two),
        "only the second is left"
    );
    let second = place.take(INBOX, name).await?;
    is(&second, two, 1)?;
    answer(place, &second, AckKind::Ack).await?;
    let left = place
        .link
        .broker
        .last(INBOX, "in.queue.One", Source::Leader)
        .await?;
    ensure!(left.is_none(), "nothing is left");
    Ok(())
}

fn is(taken: &Taken, sequence: u64, delivered: u64) -> anyhow::Result<()> {
    let found = (taken.arrival.sequence, taken.arrival.delivered);
    ensure!(
        found == (sequence, delivered),
        "{found:?} is handed out, not {:?}",
        (sequence, delivered)
    );
    Ok(())
}

/// Answers, and waits until it must have arrived.
async fn answer(place: &Place, taken: &Taken, kind: AckKind) -> anyhow::Result<()> {
    let answered = taken.acker.answer(kind).await;
    answered.map_err(anyhow::Error::msg).context("an answer")?;
    place.wait(MOMENT).await;
    Ok(())
}

async fn none(place: &Place, stream: &'static str, name: &str, patience: Duration) -> anyhow::Result<()> {
    let taken = place.take_within(stream, name, patience).await?;
    let taken = taken.map(|taken| taken.arrival);
    ensure!(taken.is_none(), "nothing was to be handed out: {taken:?}");
    Ok(())
}
