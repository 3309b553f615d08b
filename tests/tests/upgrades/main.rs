//! Two versions of every worker side by side, switched from one to the other and back while orders come in.

mod carried;

use std::time::Duration;

use async_nats::HeaderMap;
use carried::{Carried, adjusted, carried, stored, whole};
use jetsaga::{
    Status, StepStatus,
    anyhow::{Context as _, Result, ensure},
};
use jetsaga_tests::harness::{
    Process, Role, System, audit, clean, ended_well, fleet, jetsaga, order, order_with, step, types, until,
};
use serde_json::json;
use tokio::time::sleep;

/// How often the version is switched; the newer one is the last.
const SWITCHES: usize = 7;
/// Orders that are placed while both versions run, and again while one does.
const BATCH: usize = 25;

/// A worker of every role, each a process: what is shipped, or one that is ahead of it in `JETSAGA_NEWER`.
fn crew(system: &System, newer: Option<&str>) -> Result<Vec<Process>> {
    let mut crew = Vec::new();
    for role in Role::CHECKOUT {
        let mut command = system.as_process(role, newer.map_or_else(jetsaga, |_| fleet())?);
        if let Some(newer) = newer {
            command.env("JETSAGA_NEWER", newer);
        }
        crew.push(Process::start(command.args(["--http-listen", "127.0.0.1:0"]))?);
    }
    Ok(crew)
}

/// What a worker counts under this name.
async fn counted(process: &Process, name: &str) -> Result<u64> {
    let address = process.until_said("probes are served address=").await?;
    let text = reqwest::get(format!("http://{address}/metrics"))
        .await?
        .text()
        .await?;
    let lines = text.lines().filter(|line| line.starts_with(name));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    Ok(values.sum())
}

async fn place(system: &System, ids: &mut Vec<String>) -> Result<()> {
    for _ in 0..BATCH {
        let n = ids.len();
        let id = format!("ORD-{n}");
        let event = match n % 10 {
            3 => order_with(&id, "/paymentMethod", "tok_decline"),
            5 => order_with(&id, "/shippingAddress/zip", "00000"),
            _ => order_with(&id, "/customerId", format!("CUST-{n}")),
        };
        system.place(&event).await?;
        ids.push(id);
        sleep(Duration::from_millis(8)).await;
    }
    Ok(())
}

/// Old, then newer, then old again, with both at work in between. Returns the orders, and how many messages the old workers
/// left to newer ones.
async fn switched(system: &System, newer: &str) -> Result<(Vec<String>, u64)> {
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 10_000).await?;
    }
    system.provider.failures(json!({"delay_ms": 30})).await?;
    let (mut ids, mut left) = (Vec::new(), 0);
    let mut at_work = crew(system, None)?;
    for n in 0..SWITCHES {
        let is_old = n % 2 == 1;
        let next = crew(system, Some(newer).filter(|_| !is_old))?;
        for worker in &next {
            worker.until_said("working worker=").await?;
        }
        place(system, &mut ids).await?;
        for worker in std::mem::replace(&mut at_work, next) {
            if !is_old {
                left += counted(&worker, "jetsaga_newer_versions_total").await?;
            }
            worker.terminate().await?;
            let (code, said) = worker.ended().await?;
            ensure!(code == Some(0), "{said}");
        }
        place(system, &mut ids).await?;
    }
    for id in &ids {
        system.until_final(id).await?;
    }
    system.until_idle().await?;
    Ok((ids, left))
}

/// Everything holds, and every order that was not refused is completed.
async fn all_ended_well(system: &System, ids: &[String]) -> Result<()> {
    let refused = (0..ids.len()).filter(|n| matches!(n % 10, 3 | 5)).count();
    ended_well(system, ids, refused).await?;
    Ok(())
}

#[tokio::test]
async fn fields_that_only_newer_workers_know_are_carried_on_by_older_ones() {
    let system = System::bare().await.unwrap();
    let (ids, left) = switched(&system, "fields").await.unwrap();
    adjusted(&system, "NEWER-1", "PROD-A1", 5).await.unwrap();
    assert_eq!(left, 0, "the version is the same");

    for (kind, least) in [("checkout", 20), ("stock", 20), ("reservation", 5)] {
        let counts = carried(&system, kind).await.unwrap();
        println!("{} orders, {kind}: {counts:?}", ids.len());
        let Carried { carried, added, .. } = counts;
        assert!(carried >= least && added >= least, "{kind}: {counts:?}");
        assert!(kind != "stock" || counts.entries > 0, "no entry was carried on");
    }
    let adjustments = carried(&system, "adjustment").await.unwrap();
    assert_eq!(adjustments.carried, 1, "{adjustments:?}");
    whole(&system).await.unwrap();
    all_ended_well(&system, &ids).await.unwrap();
}

#[tokio::test]
async fn what_a_newer_version_touched_is_left_to_newer_workers() {
    let system = System::bare().await.unwrap();
    let (ids, left) = switched(&system, "version").await.unwrap();
    all_ended_well(&system, &ids).await.unwrap();

    let mut both = 0;
    for (id, events) in stored(&system, "checkout").await.unwrap() {
        let versions: Vec<_> = events
            .iter()
            .map(|event| event["version"].as_u64().unwrap_or(1))
            .collect();
        assert!(
            versions.is_sorted(),
            "{id}: an older worker wrote after a newer one: {versions:?}"
        );
        both += u32::from(versions.first() != versions.last());
    }
    println!(
        "{} orders, {both} by both versions, {left} messages left to newer workers",
        ids.len()
    );
    assert!(
        both > 0,
        "no order was begun by the older and ended by the newer version"
    );
    assert!(left > 0, "the older workers met nothing newer");
}

#[tokio::test]
async fn without_a_newer_worker_it_waits_and_shows_and_is_no_poison() {
    let system = System::bare().await.unwrap();
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 10).await.unwrap();
    }
    let mut newer = crew(&system, Some("version")).unwrap();
    let [owner, ..] = &newer[..] else {
        panic!("there are four")
    };
    owner.until_said("working worker=").await.unwrap();
    // The newer owner lets it in; nobody newer is left to charge for it.
    for worker in newer.drain(1..) {
        worker.terminate().await.unwrap();
        worker.ended().await.unwrap();
    }
    system.place(&order("ORD-1")).await.unwrap();
    system.until("ORD-1", "let in", |_| true).await.unwrap();
    let mut command = system.as_process(Role::Payment, jetsaga().unwrap());
    let old = Process::start(command.args(["--http-listen", "127.0.0.1:0"])).unwrap();
    // It comes again every five seconds, uncounted.
    until("it was left to newer workers twice", async || {
        Ok((counted(&old, "jetsaga_newer_versions_total").await? >= 2).then_some(()))
    })
    .await
    .unwrap();
    // Once by each of its consumers: of the journal, and of the retries.
    let told = old.said().matches("it is left to newer workers").count();
    assert_eq!(told, 2, "{}", old.said());
    let state = system.state("ORD-1").await.unwrap().unwrap();
    assert_eq!(
        (state.status, step(&state, "payment")),
        (Status::Running, StepStatus::Open)
    );
    assert_eq!(system.provider.books().await.unwrap().charges, 0);
    assert!(system.letters.list().await.unwrap().is_empty());
    clean(&system, &[]).await.unwrap(); // a retry stands for it: it is not stranded

    let _newer = crew(&system, Some("version")).unwrap();
    assert_eq!(
        system.until_final("ORD-1").await.unwrap().status,
        Status::Completed
    );
    system.until_idle().await.unwrap();
    assert_eq!(audit(&system, &["ORD-1".to_owned()]).await.unwrap(), 1);
}

/// An event of a newer version may hold what an older worker cannot even read.
#[tokio::test]
async fn a_newer_state_that_cannot_be_read_is_left_alone_too() {
    let system = System::bare().await.unwrap();
    let _owner = system.start(Role::Order).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    system.until("ORD-1", "let in", |_| true).await.unwrap();
    paused(&system, "ORD-1").await.unwrap();
    let mut command = system.as_process(Role::Payment, jetsaga().unwrap());
    let old = Process::start(command.args(["--http-listen", "127.0.0.1:0"])).unwrap();
    until("it was left to newer workers", async || {
        Ok((counted(&old, "jetsaga_newer_versions_total").await? >= 1).then_some(()))
    })
    .await
    .unwrap();
    assert!(system.letters.list().await.unwrap().is_empty(), "{}", old.said());
    let written = system.raw_events().await.unwrap();
    let of_it: Vec<_> = written
        .iter()
        .filter(|event| event.subject.ends_with(".ORD-1"))
        .collect();
    assert_eq!(of_it.len(), 2, "nothing was written after it: {of_it:#?}");
}

/// Writes what a newer owner might: an event that this code does not know, and a status that it does not know either.
async fn paused(system: &System, id: &str) -> Result<()> {
    let history = system.history(id).await?;
    let last = history.last().context("it was let in")?;
    ensure!(types(&history) == ["OrderCreated"]);
    let mut state = serde_json::to_value(&last.state)?;
    state["status"] = json!("paused");
    let event = json!({
        "eventId": "00000000-0000-4000-8000-000000000002", "eventType": "OrderPaused", "version": 2,
        "timestamp": "2026-01-31T12:00:00Z", "payload": {}, "state": state,
    });
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Expected-Last-Subject-Sequence", last.sequence.to_string());
    headers.insert(
        "Nats-Expected-Last-Subject-Sequence-Subject",
        format!("evt.checkout.*.{id}"),
    );
    let subject = format!("evt.checkout.OrderPaused.{id}");
    system.publish_with(&subject, headers, event.to_string()).await?;
    Ok(())
}
