//! Gateways are killed while clients place orders and ask again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use jetsaga_tests::harness::{Process, System, audit, jetsaga, order, signal};
use reqwest::Client;
use serde_json::Value;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::front::Keys;

const KILLS: usize = 50;
const CLIENTS: usize = 4;
const SEED: u64 = 20_261_124;

/// What was answered under each key, every time.
type Answers = BTreeMap<String, Vec<(String, Option<u64>)>>;

#[tokio::test]
async fn fifty_kills_lose_no_order_and_double_none() {
    let (system, _workers) = System::checkout().await.unwrap();
    let keys = Keys::new().unwrap();
    let (found, url) = watch::channel(String::new());
    let done = watch::channel(false);
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let (url, done, token) = (url.clone(), done.1.clone(), keys.shop.clone());
        clients.push(tokio::spawn(client(number, url, done, token)));
    }
    let mut chance = fastrand::Rng::with_seed(SEED);
    for _ in 0..KILLS {
        let gateway = start(&system, &keys).unwrap();
        found.send_replace(format!(
            "http://{}",
            gateway.until_said("address=").await.unwrap()
        ));
        sleep(Duration::from_millis(chance.u64(20..200))).await; // the kill falls anywhere
        signal("-KILL", &gateway.id().unwrap().to_string()).await.unwrap();
        gateway.ended().await.unwrap();
    }
    let last = start(&system, &keys).unwrap();
    found.send_replace(format!("http://{}", last.until_said("address=").await.unwrap()));
    done.0.send_replace(true);
    let mut answers = Answers::new();
    for client in clients {
        answers.extend(client.await.unwrap().unwrap());
    }
    last.terminate().await.unwrap();
    let (code, said) = last.ended().await.unwrap();
    assert_eq!(code, Some(0), "{said}");

    let mut ids = Vec::new();
    for (key, said) in &answers {
        let (id, sequence) = said.last().unwrap();
        assert!(sequence.is_some(), "{key}");
        assert!(
            said.iter()
                .all(|(other, at)| other == id && (at.is_none() || at == sequence)),
            "{key}: {said:?}"
        );
        ids.push(id.clone());
    }
    for id in &ids {
        system.until_final(id).await.unwrap();
    }
    audit(&system, &ids).await.unwrap();
    let events = system.raw_events().await.unwrap();
    let created = events
        .iter()
        .filter(|event| event.subject.starts_with("evt.checkout.OrderCreated."))
        .count();
    assert_eq!(created, ids.len(), "one order for each key");
    assert!(ids.len() >= KILLS, "{} orders", ids.len());
    let asked: usize = answers.values().map(Vec::len).sum();
    println!(
        "seed {SEED}: {KILLS} kills, {} orders, {asked} answers",
        ids.len()
    );
}

fn start(system: &System, keys: &Keys) -> Result<Process> {
    let mut command = jetsaga()?;
    command.args(["worker", "gateway"]);
    command.args([
        "--nats-url",
        &system.server.url(),
        "--gateway-listen",
        "127.0.0.1:0",
        "--drain-limit",
        "5s",
    ]);
    command.arg("--gateway-keys").arg(keys.dir.path().join("keys"));
    Process::start(&mut command)
}

/// Places one order after the other, each until it is accepted, and some once more.
async fn client(
    number: usize,
    url: watch::Receiver<String>,
    done: watch::Receiver<bool>,
    token: String,
) -> Result<Answers> {
    let http = Arc::new(
        Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()?,
    );
    let mut chance = fastrand::Rng::with_seed(SEED + 1 + number as u64);
    let mut answers = Answers::new();
    for n in 0.. {
        if *done.borrow() {
            break;
        }
        let key = format!("{number}-{n}");
        let mut order = order("-")["payload"].take();
        order.as_object_mut().context("no object")?.remove("orderId");
        for _ in 0..chance.usize(1..3) {
            let said = until_accepted(&http, &url, &token, &key, &order).await?;
            answers.entry(key.clone()).or_default().extend(said);
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(answers)
}

/// Every 202 until one that names the sequence.
async fn until_accepted(
    http: &Client,
    url: &watch::Receiver<String>,
    token: &str,
    key: &str,
    order: &Value,
) -> Result<Vec<(String, Option<u64>)>> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut said = Vec::new();
    while Instant::now() < deadline {
        let place = format!("{}/v1/orders", *url.borrow());
        let request = http
            .post(place)
            .bearer_auth(token)
            .header("Idempotency-Key", key)
            .json(order);
        let Ok(answer) = request.send().await else {
            sleep(Duration::from_millis(5)).await; // it was killed, or is not there yet
            continue;
        };
        let status = answer.status().as_u16();
        let Ok(body) = answer.json::<Value>().await else {
            continue; // killed in the middle of its answer
        };
        match status {
            202 => {
                let id = body["orderId"].as_str().context("no id")?.to_owned();
                let sequence = body["sequence"].as_u64();
                said.push((id, sequence));
                if sequence.is_some() {
                    return Ok(said);
                }
            }
            409 => ensure!(body["code"] == "request-in-flight", "{body}"),
            503 => {}
            other => bail!("{key}: {other} {body}"),
        }
        sleep(Duration::from_millis(5)).await;
    }
    bail!("{key} is not accepted")
}
