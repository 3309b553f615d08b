use std::{collections::BTreeMap, future::Future};

use checkout::{
    OrderCreated,
    stock::{Items, Operation, Outcome},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use inventory::Shelf;
use jetsaga::{Fact as _, Journal, Token, subject};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    counts::{Counts, PerSaga, rounded},
    orders::{Orders, event_of, order_id},
    process::Process,
    site::{Side, Site},
    usage::cpu_seconds,
};
use crate::seed::seed;

/// Orders in each measurement.
const ORDERS: u64 = 3_000;
/// Requests of the driver in flight.
const AT_ONCE: usize = 64;
/// Products over which the reservations are spread.
const PRODUCTS: u64 = 500;

/// What the main measure leaves out, each by itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Apart {
    orders: u64,
    /// From the inbox into the journal, by the real order worker: the mark of the event id, the look into the bucket,
    /// the guarded first append.
    ingress: Cost,
    /// The order worker hears each start and arms its deadline.
    timers: Cost,
    /// The notifier hears each start, writes a line to a file and marks the event id.
    notices: Cost,
    /// Two products reserved for each order, by the inventory worker's code in the driver.
    reserve: Cost,
    /// The same shipped.
    ship: Cost,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    per_second: f64,
    /// CPU seconds per 1,000 orders, of each process.
    cpu: BTreeMap<&'static str, f64>,
    /// What the worker counts, per order.
    #[serde(skip_serializing_if = "Option::is_none")]
    operations: Option<PerSaga>,
}

/// One server for all of it, and one worker at a time.
pub(super) async fn measure() -> anyhow::Result<Apart> {
    let orders = Orders::new()?;
    let site = Site::without_workers(Side::Engine, &orders.plan).await?;
    let (ingress, timers) = through_the_order_worker(&site, &orders).await?;
    let notices = notices(&site).await?;
    let shelf = Shelf::new(Journal::new(&site.nats));
    for n in 0..PRODUCTS {
        seed(&shelf, &product(n)?, 1_000_000).await?;
    }
    let reserve = at_the_shelf(&site, |n| reserve(&shelf, n)).await?;
    let ship = at_the_shelf(&site, |n| ship(&shelf, n)).await?;
    Ok(Apart {
        orders: ORDERS,
        ingress,
        timers,
        notices,
        reserve,
        ship,
    })
}

async fn through_the_order_worker(site: &Site, orders: &Orders) -> anyhow::Result<(Cost, Cost)> {
    let owner = "checkout-owner";
    let worker = Process::start("order", &site.url(), &[])?;
    worker.ready().await?;
    let ingress = of_worker(site, &worker, "order", async {
        place(site, orders).await?;
        site.idle(subject::INBOX, owner).await
    });
    let ingress = ingress.await?;
    worker.stop().await?;

    // The benchmark's owner does not hear the start; the real one does.
    let jetstream = &site.nats.jetstream;
    jetstream
        .delete_consumer_from_stream(owner, subject::EVENTS)
        .await?;
    let worker = Process::start("order", &site.url(), &["--provision"])?;
    let timers = of_worker(site, &worker, "order", async {
        worker.ready().await?;
        site.idle(subject::EVENTS, owner).await
    });
    let timers = timers.await?;
    worker.stop().await?;
    let armed = jetstream
        .get_stream(subject::TIMERS)
        .await?
        .cached_info()
        .state
        .messages;
    anyhow::ensure!(armed == ORDERS, "{armed} deadlines are armed, not {ORDERS}");
    Ok((ingress, timers))
}

/// Publishes every order to the inbox.
async fn place(site: &Site, orders: &Orders) -> anyhow::Result<()> {
    let placing = stream::iter(0..ORDERS).map(|n| async move {
        let id = Token::new(&order_id(0, n))?;
        let body = serde_json::to_vec(&event_of(&id, &orders.order(&id))?)?;
        let inbox = format!("in.checkout.{}", OrderCreated::TYPE);
        site.nats.jetstream.publish(inbox, body.into()).await?.await?;
        anyhow::Ok(())
    });
    placing.buffer_unordered(AT_ONCE).try_collect::<()>().await
}

async fn notices(site: &Site) -> anyhow::Result<Cost> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("notices.jsonl").display().to_string();
    let flags = ["--provision", "--notifier-file", &file];
    let worker = Process::start("notifier", &site.url(), &flags)?;
    let notices = of_worker(site, &worker, "notifier", async {
        worker.ready().await?;
        site.idle(subject::EVENTS, "notifier").await
    });
    let notices = notices.await?;
    worker.stop().await?;
    let lines = std::fs::read_to_string(&file)?.lines().count() as u64;
    anyhow::ensure!(lines == ORDERS, "{lines} notices are written, not {ORDERS}");
    Ok(notices)
}

fn product(n: u64) -> anyhow::Result<Token> {
    Ok(Token::new(&format!("PROD-{:03}", n % PRODUCTS))?)
}

/// Both products of an order, one piece each.
async fn reserve(shelf: &Shelf, n: u64) -> anyhow::Result<()> {
    let (first, second) = (product(n)?, product(n + PRODUCTS / 2)?);
    let lines = [first, second].map(|product_id| checkout::Item {
        product_id,
        quantity: 1,
        unit_price: None,
    });
    let order = Token::new(&order_id(0, n))?;
    match shelf
        .carry_out(Operation::reserve(order, Items::merge(&lines)?))
        .await?
    {
        Outcome::Held => Ok(()),
        other => anyhow::bail!("the reservation of order {n} ended {other:?}"),
    }
}

async fn ship(shelf: &Shelf, n: u64) -> anyhow::Result<()> {
    let order = Token::new(&order_id(0, n))?;
    match shelf.carry_out(Operation::ship(order)).await? {
        Outcome::Shipped => Ok(()),
        other => anyhow::bail!("the shipment of order {n} ended {other:?}"),
    }
}

/// Does `work` for every order, in this process.
async fn at_the_shelf<F: Future<Output = anyhow::Result<()>>>(
    site: &Site,
    work: impl Fn(u64) -> F,
) -> anyhow::Result<Cost> {
    let all = stream::iter(0..ORDERS)
        .map(work)
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>();
    cost(
        &[("server", site.server_id()?), ("driver", std::process::id())],
        all,
    )
    .await
}

/// What `work` takes of the server and of this worker, and what the worker counts meanwhile.
async fn of_worker(
    site: &Site,
    worker: &Process,
    name: &'static str,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Cost> {
    let before = worker.counts().await.unwrap_or_default(); // one that does not answer yet has done nothing
    let cost = cost(&[("server", site.server_id()?), (name, worker.id()?)], work).await?;
    let counts: Counts = worker.counts().await? - before;
    Ok(Cost {
        operations: Some(counts.per(ORDERS)),
        ..cost
    })
}

/// What `work` takes of these processes.
async fn cost(
    processes: &[(&'static str, u32)],
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Cost> {
    let used = || {
        processes
            .iter()
            .map(|(_, pid)| cpu_seconds(*pid))
            .collect::<anyhow::Result<Vec<_>>>()
    };
    let (before, begun) = (used()?, Instant::now());
    work.await?;
    let (after, took) = (used()?, begun.elapsed());
    let per_thousand = |(after, before): (f64, f64)| rounded((after - before) * 1000.0 / ORDERS as f64);
    let each = after.into_iter().zip(before).map(per_thousand);
    Ok(Cost {
        per_second: (ORDERS as f64 / took.as_secs_f64()).round(),
        cpu: processes.iter().map(|(name, _)| *name).zip(each).collect(),
        operations: None,
    })
}
