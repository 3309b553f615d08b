//! What the tables show is what the journal says.

use std::time::Duration;

use anyhow::{Context as _, Result};
use jetsaga::Token;
use readmodel::{NotYet, ReadModel, projections};

use crate::harness::{Place, Site, on_both};

on_both!(
    tables_are_the_fold_of_the_journal,
    two_runners_apply_each_event_once,
    poison_is_recorded_and_passed
);

async fn tables_are_the_fold_of_the_journal(place: Place) -> Result<()> {
    let mut site = Site::new(place).await?;
    site.orders(60).await?;
    let store = site.store().await?;
    let runner = site.runner().await?;
    site.orders(60).await?;
    site.caught_up(&store).await?;
    site.check(&store, projections()).await?;

    let model = ReadModel::open(&site.place.url()).await?;
    let last = site.last().await?;
    model.reached(last, Duration::ZERO).await?;
    let behind = model.reached(last + 1, Duration::from_millis(20)).await;
    assert!(matches!(behind, Err(NotYet::Behind { at, wanted }) if at == last && wanted == last + 1));

    let story = site.stories.order()?;
    let id = story
        .first()
        .context("a story has a first event")?
        .entity
        .id()
        .clone();
    assert_eq!(model.order(&id).await?, None);
    let mut sequence = 0;
    for told in &story {
        sequence = site.publish(&told.subject(), told.body()?).await?;
    }
    model.reached(sequence, Duration::from_secs(20)).await?;
    let order = model.order(&id).await?.context("it was placed")?;
    let customer = model
        .customer(&order.customer_id)
        .await?
        .context("they ordered")?;
    assert_eq!(customer.last_order, Some(id));
    assert!(
        model
            .product(story.last().context("stock moved")?.entity.id())
            .await?
            .is_some()
    );
    let orders: u64 = model
        .revenue(None, None)
        .await?
        .iter()
        .map(|day| day.orders)
        .sum();
    assert_eq!(orders, 121);
    assert_eq!(model.order(&Token::new("nobody")?).await?, None);
    runner.stop().await
}

async fn two_runners_apply_each_event_once(place: Place) -> Result<()> {
    let mut site = Site::new(place).await?;
    let store = site.store().await?;
    let runners = [site.runner().await?, site.runner().await?, site.runner().await?];
    for _ in 0..20 {
        site.orders(15).await?;
    }
    site.caught_up(&store).await?;
    for runner in runners {
        runner.stop().await?;
    }
    site.check(&store, projections()).await
}

async fn poison_is_recorded_and_passed(place: Place) -> Result<()> {
    let mut site = Site::new(place).await?;
    site.orders(5).await?;
    let no_json = site
        .publish("evt.checkout.OrderCreated.ORD-P1", "no json")
        .await?;
    let no_state = site
        .publish("evt.stock.StockReserved.PROD-P", r#"{"eventId":"x"}"#)
        .await?;
    let odd = r#"{"eventId":"a1b2c3d4-e5f6-7890-1234-567890abcdef","eventType":"OrderCreated",
        "timestamp":"2026-11-24T10:30:00Z","payload":{},"state":{"status":"asleep"}}"#;
    let odd_state = site.publish("evt.checkout.OrderCreated.ORD-P2", odd).await?;
    site.publish("evt.elsewhere.Thing.T-1", "no json either").await?;
    site.orders(5).await?;
    let store = site.store().await?;
    let runner = site.runner().await?;
    site.caught_up(&store).await?;
    let problems = store.problems().await?;
    let found: Vec<(u64, &str)> = problems
        .iter()
        .map(|p| (p.sequence, p.projection.as_str()))
        .collect();
    let expected = vec![
        (no_json, "customers"),
        (no_json, "orders"),
        (no_json, "revenue"),
        (no_state, "stock"),
        (odd_state, "customers"),
        (odd_state, "orders"),
    ];
    assert_eq!(found, expected, "{problems:?}");
    assert!(problems.iter().all(|p| !p.reason.is_empty()));
    let status = store.status(&site.nats).await?;
    assert_eq!(
        status
            .iter()
            .find(|s| s.name == "orders")
            .map(|s| (s.problems, s.lag)),
        Some((2, 0))
    );
    site.check(&store, projections()).await?;
    runner.stop().await
}
