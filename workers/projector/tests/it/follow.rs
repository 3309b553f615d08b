//! What the tables show is what the journal says.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Args as _, FromArgMatches as _};
use jetsaga::{EngineArgs, Nats, Token};
use readmodel::{NotYet, ReadModel, projections};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::harness::{Place, Site, on_both, until};

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

/// The runner as a worker runs it: it is ready once it follows, counts what it does, and drains.
#[tokio::test(flavor = "multi_thread")]
async fn a_projector_is_ready_and_says_how_far_it_is() -> Result<()> {
    let mut site = Site::new(Place::sqlite()?).await?;
    let last = site.orders(3).await?;
    let args = projector::Args {
        database_url: site.place.url(),
        database_url_file: None,
    };
    let nats = Nats::connect(&site.server.url, "projector").await?;
    let worker = projector::worker(args, nats.clone()).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let probes = listener.local_addr()?;
    let engine = EngineArgs::augment_args(clap::Command::new("x")).get_matches_from(["x"]);
    let engine = EngineArgs::from_arg_matches(&engine)?;
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(async move { worker.run(&nats, &engine, Some(listener), stopped).await });
    until("a projector that is ready", async || {
        Ok(get(probes, "/readyz").await?.contains("200 OK").then_some(()))
    })
    .await?;
    let position = format!("jetsaga_projection_position{{projection=\"orders\"}} {last}\n");
    until("its position", async || {
        Ok(get(probes, "/metrics").await?.contains(&position).then_some(()))
    })
    .await?;
    let metrics = get(probes, "/metrics").await?;
    for said in [
        "jetsaga_projection_lag{projection=\"orders\"} 0\n",
        "jetsaga_services_working 1\n",
    ] {
        assert!(metrics.contains(said), "{metrics}");
    }
    stop.send_replace(true);
    running.await?
}

async fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
