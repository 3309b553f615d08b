use std::time::Duration;

use anyhow::ensure;
use async_nats::HeaderMap;
use engine::{
    broker::{Source, Stored},
    subject::{EVENTS, KV_STATE, LETTERS},
};

use super::{Place, guarded};

/// Reads by filter, by sequence and in order.
pub(super) async fn reads(place: &Place) -> anyhow::Result<()> {
    let broker = &place.link.broker;
    let one = place
        .publish("evt.reads.One.A", guarded(0, Some("evt.reads.*.A")), "1")
        .await?;
    let two = place
        .publish("evt.reads.Two.A", guarded(one, Some("evt.reads.*.A")), "2")
        .await?;
    let found = |stored: Option<Stored>| stored.map(|stored| (stored.sequence, stored.body));
    for source in [Source::Anyone, Source::Leader] {
        let last = found(broker.last(EVENTS, "evt.reads.*.A", source).await?);
        ensure!(last == Some((two, "2".into())), "the last of an entity: {last:?}");
        let last = found(broker.last(EVENTS, "evt.reads.One.A", source).await?);
        ensure!(
            last == Some((one, "1".into())),
            "the last on one subject: {last:?}"
        );
        let none = broker.last(EVENTS, "evt.reads.*.B", source).await?;
        ensure!(none.is_none(), "an entity without events: {none:?}");
    }
    let at = found(broker.at(EVENTS, one).await?);
    ensure!(at == Some((one, "1".into())), "by sequence: {at:?}");
    ensure!(
        broker.at(EVENTS, two + 1000).await?.is_none(),
        "there is no such sequence yet"
    );
    let next = found(broker.next(EVENTS, "evt.reads.>", one + 1).await?);
    ensure!(
        next == Some((two, "2".into())),
        "the next from there on: {next:?}"
    );
    ensure!(
        broker.next(EVENTS, "evt.reads.>", two + 1).await?.is_none(),
        "nothing comes after the last"
    );
    Ok(())
}

/// The bucket keeps the last event of each entity, with its sequence in the journal and without its guard.
pub(super) async fn bucket(place: &Place) -> anyhow::Result<()> {
    let one = place
        .publish("evt.kept.One.A", guarded(0, Some("evt.kept.*.A")), "1")
        .await?;
    let two = place
        .publish("evt.kept.Two.A", guarded(one, Some("evt.kept.*.A")), "2")
        .await?;
    for _ in 0..100 {
        let kept = place
            .link
            .broker
            .last(KV_STATE, "$KV.STATE.kept.A", Source::Anyone)
            .await?;
        if let Some(kept) = kept.filter(|kept| kept.journal_sequence() == two) {
            ensure!(kept.body == "2" && kept.guard() == 0, "it keeps {kept:?}");
            return Ok(());
        }
        place.wait(Duration::from_millis(50)).await;
    }
    anyhow::bail!("it does not follow the journal")
}

/// A letter is removed once.
pub(super) async fn removals(place: &Place) -> anyhow::Result<()> {
    let broker = &place.link.broker;
    let letter = place
        .publish("dlq.someone.EVENTS.7", HeaderMap::new(), "letter")
        .await?;
    broker.remove(LETTERS, letter).await?;
    ensure!(broker.at(LETTERS, letter).await?.is_none(), "it is gone");
    ensure!(
        broker.next(LETTERS, "dlq.>", 1).await?.is_none(),
        "and not listed"
    );
    ensure!(
        broker.remove(LETTERS, letter).await.is_err(),
        "it cannot be removed twice"
    );
    let last = broker
        .last(LETTERS, "dlq.someone.EVENTS.7", Source::Leader)
        .await?;
    ensure!(last.is_none(), "it is not the last of its subject any more");
    let again = place
        .publish("dlq.someone.EVENTS.7", guarded(0, None), "letter")
        .await?;
    ensure!(again > letter, "its sequence is not given again");
    Ok(())
}
