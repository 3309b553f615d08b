//! Lists over HTTP, as the read model has them.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result};
use gateway::Config;
use jetsaga_tests::harness::{Running, System, order, order_with};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    front::{Answer, Front},
    sse::Events,
};

/// A checkout with a projector, and a gateway on its tables.
async fn site(dir: &TempDir) -> Result<(System, Vec<Running>, Front)> {
    let (system, mut running) = System::checkout().await?;
    let database_url = format!("sqlite:{}", dir.path().join("read.db").display());
    let nats = system.connect().await?;
    let args = projector::Args {
        database_url: database_url.clone(),
        database_url_file: None,
    };
    let worker = projector::worker(args, nats.clone()).await?;
    running.push(system.start_worker(worker, nats).await?);
    let front = Front::start_with(&system, |config| Config {
        read_model: Some(database_url),
        ..config
    })
    .await?;
    Ok((system, running, front))
}

/// Places an order and follows it to its end; returns the sequence of its last event.
async fn whole(front: &Front, order: &Value) -> Result<u64> {
    let placed = front
        .place(&order["payload"], None)
        .await?
        .expect(StatusCode::ACCEPTED)?;
    let path = format!(
        "/v1/orders/{}/stream",
        placed["orderId"].as_str().context("no id")?
    );
    let told = Events::open(front.shop(Method::GET, &path), None)
        .await?
        .rest()
        .await?;
    Ok(told.last().context("nothing is told")?.id)
}

async fn list(front: &Front, query: &str) -> Result<(Vec<String>, Value)> {
    let body = front
        .get(&format!("/v1/orders?{query}"))
        .await?
        .expect(StatusCode::OK)?;
    let items = body["items"].as_array().context("no items")?;
    let ids = items
        .iter()
        .filter_map(|item| item["orderId"].as_str().map(str::to_owned));
    Ok((ids.collect(), body))
}

#[tokio::test]
async fn a_writer_reads_its_writes_in_lists_that_are_filtered_and_paged() {
    let dir = TempDir::new().unwrap();
    let (_system, _running, front) = site(&dir).await.unwrap();
    let mut last = 0;
    for n in 0..5 {
        let customer = if n % 2 == 0 { "EVEN" } else { "ODD" };
        last = whole(&front, &order_with(&format!("L-{n}"), "/customerId", customer))
            .await
            .unwrap();
        let (ids, _) = list(&front, &format!("min_seq={last}&status=completed"))
            .await
            .unwrap();
        assert_eq!(ids.len(), n + 1, "what was written is read");
    }
    let lost = whole(&front, &order_with("LOST", "/shippingAddress/zip", "00000"))
        .await
        .unwrap();
    assert!(lost > last);

    let request = front
        .shop(Method::GET, "/v1/orders?status=cancelled")
        .header("Jetsaga-Min-Sequence", lost);
    let cancelled = Answer::of(request).await.unwrap();
    let body = cancelled.expect(StatusCode::OK).unwrap();
    let row = &body["items"][0];
    assert_eq!(
        (&row["orderId"], &row["charged"], &row["refunded"]),
        (&json!("LOST"), &json!(75.50), &json!(75.50))
    );
    assert!(cancelled.header("jetsaga-sequence").parse::<u64>().unwrap() >= lost);
    assert_eq!(
        list(&front, "customer=ODD&order=oldest").await.unwrap().0,
        ["L-1", "L-3"]
    );
    assert_eq!(
        list(&front, "customer=NOBODY").await.unwrap().0,
        Vec::<String>::new()
    );

    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (ids, body) = list(&front, &format!("limit=2{cursor}")).await.unwrap();
        seen.extend(ids);
        let Some(next) = body["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["LOST", "L-4", "L-3", "L-2", "L-1", "L-0"]);
    let (_, all) = list(&front, "order=oldest").await.unwrap();
    let (from, to) = (&all["items"][1]["createdAt"], &all["items"][3]["createdAt"]);
    let between = format!("from={}&to={}", from.as_str().unwrap(), to.as_str().unwrap());
    let between: BTreeSet<_> = list(&front, &between).await.unwrap().0.into_iter().collect();
    assert_eq!(
        between,
        BTreeSet::from(["L-1".to_owned(), "L-2".to_owned()]),
        "from is in, to is not"
    );

    let revenue = Answer::of(front.staff(Method::GET, &format!("/v1/revenue?min_seq={lost}")))
        .await
        .unwrap();
    let revenue = revenue.expect(StatusCode::OK).unwrap();
    let net: f64 = revenue["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|day| day["net"].as_f64())
        .sum();
    assert!((net - 5.0 * 75.50).abs() < 0.001, "{revenue}");
    front.stop().await.unwrap();
}

#[tokio::test]
async fn a_list_that_does_not_catch_up_in_time_says_so() {
    let (dir, system) = (TempDir::new().unwrap(), System::bare().await.unwrap());
    let url = format!("sqlite:{}", dir.path().join("read.db").display());
    projector::open(&url).await.unwrap(); // and nobody follows the journal
    let front = Front::start_with(&system, |config| Config {
        read_model: Some(url),
        read_limit: Duration::from_millis(100),
        ..config
    });
    let front = front.await.unwrap();
    system
        .publish("evt.note.Written.N-1", order("-").to_string())
        .await
        .unwrap();
    let late = front.get("/v1/orders?min_seq=1").await.unwrap();
    late.problem(503, "not-caught-up").unwrap();
    assert_eq!(late.header("retry-after"), "1");
    assert_eq!(
        list(&front, "").await.unwrap().0,
        Vec::<String>::new(),
        "without it there is an answer"
    );
    front.stop().await.unwrap();
}
