use anyhow::ensure;
use async_nats::HeaderMap;
use engine::{AppendError, Freshness, Journal, broker::Source, now, subject::EVENTS, subject::EntitySubject};
use saga::{Event, EventId, Payload, Token};

use super::{Place, guarded};

/// A guard is about every subject that its filter matches, and a refusal names the last sequence.
pub(super) async fn guards(place: &Place) -> anyhow::Result<()> {
    let filter = "evt.guards.*.A";
    let append = |subject, guard, body| place.publish(subject, guarded(guard, Some(filter)), body);
    let first = append("evt.guards.One.A", 0, "1").await?;
    stale(append("evt.guards.One.A", 0, "2").await, first)?;
    stale(append("evt.guards.Two.A", first + 7, "2").await, first)?;
    let second = append("evt.guards.Two.A", first, "2").await?;
    ensure!(second > first, "{second} follows {first}");
    stale(append("evt.guards.Two.A", first, "3").await, second)?;
    let filter_of_b = Some("evt.guards.*.B");
    let append = |guard| place.publish("evt.guards.One.B", guarded(guard, filter_of_b), "3");
    stale(append(first).await, 0)?;
    let other = append(0).await?;
    ensure!(other > second, "another entity has a guard of its own");
    let stored = place.link.broker.last(EVENTS, filter, Source::Leader).await?;
    let found = stored.map(|stored| (stored.sequence, stored.guard(), stored.body));
    ensure!(
        found == Some((second, first, "2".into())),
        "the guard is kept with the message: {found:?}"
    );
    Ok(())
}

/// The answer has to be that the guard is stale, and to name the last sequence.
fn stale(answer: Result<u64, AppendError>, wanted: u64) -> anyhow::Result<()> {
    match answer {
        Err(AppendError::Stale { last }) if last == wanted => Ok(()),
        other => Err(anyhow::anyhow!("{wanted} was to be named, but: {other:?}")),
    }
}

/// Without a guard everything is taken that a stream takes.
pub(super) async fn unguarded(place: &Place) -> anyhow::Result<()> {
    let first = place
        .publish("evt.unguarded.One.A", HeaderMap::new(), "1")
        .await?;
    let second = place
        .publish("evt.unguarded.One.A", HeaderMap::new(), "2")
        .await?;
    ensure!(second > first, "{second} follows {first}");
    let nowhere = place.publish("nobody.hears.this", HeaderMap::new(), "").await;
    ensure!(
        matches!(nowhere, Err(AppendError::Unknown(_))),
        "no stream takes it: {nowhere:?}"
    );
    Ok(())
}

/// A guard without a filter is about the subject itself: a mark is made once.
pub(super) async fn marks(place: &Place) -> anyhow::Result<()> {
    let first = place
        .publish("seen.someone.event", guarded(0, None), "mine")
        .await?;
    match place
        .publish("seen.someone.event", guarded(0, None), "theirs")
        .await
    {
        Err(AppendError::Stale { last }) if last == first => Ok(()),
        other => Err(anyhow::anyhow!("the second mark: {other:?}")),
    }
}

/// The journal's own append: a chain of guards that can be walked.
pub(super) async fn chains(place: &Place) -> anyhow::Result<()> {
    let journal = Journal::over(place.link.clone());
    let entity = EntitySubject::new(&Token::new("chains")?, &Token::new("A")?);
    let mut guard = 0;
    for number in 1..=3 {
        let id = EventId::derived("chains", "A", &number.to_string());
        let event = Event::<()>::new(id, Token::new("Grown")?, now(), Payload::of(&number)?);
        let event = event.with_state(Some(number));
        guard = journal.append(&entity, guard, &event).await?;
        let again = journal.append(&entity, 0, &event).await;
        let last = guard;
        ensure!(
            matches!(again, Err(AppendError::Stale { last: named }) if named == last),
            "{again:?}"
        );
    }
    let history = journal.history::<u32>(&entity).await?;
    let states: Vec<u32> = history.iter().map(|event| event.state).collect();
    ensure!(states == [1, 2, 3], "the history is {states:?}");
    ensure!(
        history[0].guard == 0 && history[2].guard == history[1].sequence,
        "each names the one before"
    );
    let known = journal.last::<u32>(&entity, Freshness::AtLeast(guard)).await?;
    ensure!(
        known.is_some_and(|known| known.sequence == guard),
        "the last is {guard}"
    );
    Ok(())
}
