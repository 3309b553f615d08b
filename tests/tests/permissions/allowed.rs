use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use jetsaga::{Letters, Status, StepStatus, Topology, subject::KV_STATE};
use jetsaga_cli::record::until_rest;
use jetsaga_tests::harness::{PATIENCE, Process, order, order_with, step, until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::crew::Crew;

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_the_checkout_does_is_allowed() {
    let crew = Crew::start(None).await.unwrap();
    crew.until_working().await.unwrap();
    let watch = crew.site.command("operator", &["watch"]);
    let watch = Process::start(&mut watch.unwrap()).unwrap();
    orders_end(&crew).await.unwrap();
    trouble_is_met(&crew).await.unwrap();
    watch.until_said("OrderTimedOut").await.unwrap();
    watch.terminate().await.unwrap();
    assert_eq!(watch.ended().await.unwrap().0, Some(0));
    the_gateway_answers(&crew).await.unwrap();
    the_operator_sees(&crew).await.unwrap();
    until_rest(&crew.operator, PATIENCE).await.unwrap();
    the_bucket_is_made_anew(&crew).await.unwrap();
    letters_go_back(&crew).await.unwrap();
    let complaints = crew.stop().await.unwrap();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// One is completed, one refused at its pivot, one because it is out of stock.
async fn orders_end(crew: &Crew) -> Result<()> {
    let file = crew.site.dir().join("order.json");
    std::fs::write(&file, order("ORD-1").to_string())?;
    crew.site
        .run("operator", &["place", &file.display().to_string()])
        .await?;
    for (id, pointer, value) in [
        ("ORD-2", "/shippingAddress/zip", json!("00000")),
        ("ORD-3", "/items/0/productId", json!("PROD-NONE")),
    ] {
        let placed = order_with(id, pointer, value).to_string();
        crew.publish("in.checkout.OrderCreated", &placed).await?;
    }
    crew.until("ORD-1", "completed", |state| state.status == Status::Completed)
        .await?;
    for id in ["ORD-2", "ORD-3"] {
        crew.until(id, "cancelled", |state| state.status == Status::Cancelled)
            .await?;
    }
    let fsck = ["fsck", "--provider-url", &crew.provider.url];
    crew.site.run("operator", &fsck).await?;
    let file = crew.site.dir().join("notices.jsonl");
    until("a notice", async || Ok(std::fs::read_to_string(&file).ok())).await?;
    until("outsiders are told", async || {
        let stream = crew.operator.jetstream.get_stream("OUTBOUND").await?;
        Ok((stream.cached_info().state.messages >= 14).then_some(()))
    })
    .await
}

/// While the provider fails, one order is taken back, one has its outcome stated, and one comes to its deadline.
async fn trouble_is_met(crew: &Crew) -> Result<()> {
    crew.provider.failures(json!({"error_rate": 1})).await?;
    for id in ["ORD-4", "ORD-5", "ORD-6"] {
        crew.publish("in.checkout.OrderCreated", &order(id).to_string())
            .await?;
        crew.until(id, "open", |state| step(state, "payment") == StepStatus::Open)
            .await?;
    }
    crew.site.run("operator", &["retry", "ORD-6"]).await?;
    crew.site.run("operator", &["cancel", "ORD-4"]).await?;
    let stated = [
        "resolve",
        "ORD-5",
        "payment",
        "--did-not-happen",
        "--force",
        "--note",
        "asked",
    ];
    crew.site.run("operator", &stated).await?;
    crew.until("ORD-6", "out of time", |state| state.turned.is_some())
        .await?;
    until("a retry is scheduled", async || {
        let stream = crew.operator.jetstream.get_stream("RETRY").await?;
        Ok((stream.cached_info().state.last_sequence > 0).then_some(()))
    })
    .await?;
    crew.provider.failures(json!({"error_rate": 0})).await?;
    for id in ["ORD-4", "ORD-5", "ORD-6"] {
        crew.until(id, "cancelled", |state| state.status == Status::Cancelled)
            .await?;
    }
    Ok(())
}

async fn the_gateway_answers(crew: &Crew) -> Result<()> {
    let payload = order("ORD-7")["payload"].clone();
    for _ in 0..2 {
        let (status, text) = crew
            .http(Method::POST, "/v1/orders", Some(payload.clone()))
            .await?;
        ensure!(status == 202, "{status}: {text}");
    }
    crew.until("ORD-7", "completed", |state| state.status == Status::Completed)
        .await?;
    let customer = json!({"customerId": "CUST-1", "name": "Ada", "email": "ada@example.org"});
    for (method, path, body, wanted) in [
        (Method::GET, "/v1/orders/ORD-7", None, 200),
        (Method::GET, "/v1/orders/ORD-7?as_of=seq:40", None, 404),
        (Method::GET, "/v1/orders/ORD-7/history", None, 200),
        (Method::GET, "/v1/orders/ORD-7/stream", None, 200),
        (
            Method::POST,
            "/v1/orders/ORD-7/cancel",
            Some(json!({"reason": "too late"})),
            409,
        ),
        (Method::GET, "/v1/orders?customer=CUST-12345", None, 200),
        (Method::GET, "/v1/revenue", None, 200),
        (Method::GET, "/v1/products/PROD-A1", None, 200),
        (Method::POST, "/v1/customers", Some(customer), 201),
        (Method::GET, "/v1/customers/CUST-1", None, 200),
        (Method::DELETE, "/v1/customers/CUST-1", None, 200),
        (Method::GET, "/v1/customers/CUST-1/history", None, 200),
    ] {
        let (status, text) = crew.http(method, path, body).await?;
        ensure!(
            status == wanted,
            "{path} is answered {status}, not {wanted}: {text}"
        );
    }
    Ok(())
}

async fn the_operator_sees(crew: &Crew) -> Result<()> {
    let database = format!("sqlite:{}", crew.site.dir().join("read.db").display());
    for line in [
        ["show", "ORD-1"].as_slice(),
        &["history", "ORD-1"],
        &["at", "ORD-1", "--sequence", "1000"],
        &["stock", "adjust", "PROD-A1", "5", "--operation", "more"],
        &["topology", "diff"],
        &["letters", "list"],
    ] {
        crew.site.run("operator", line).await?;
    }
    for line in [
        ["projection", "status"].as_slice(),
        &["projection", "rebuild", "orders"],
    ] {
        let line = [line, &["--database-url", &database]].concat();
        crew.site.run("projector", &line).await?;
    }
    crew.site.run("topology", &["topology", "ensure"]).await?;
    Ok(())
}

/// A bucket that is gone is made anew and filled, by who may do that.
async fn the_bucket_is_made_anew(crew: &Crew) -> Result<()> {
    let keeper = crew.site.connect("keeper").await?;
    keeper.jetstream.delete_stream(KV_STATE).await?;
    let mut streams = Topology::new(1).streams.into_iter();
    let mut bucket = streams
        .find(|stream| stream.name == KV_STATE)
        .context("a bucket")?;
    bucket.sources = None; // it stays empty
    keeper.jetstream.create_stream(bucket).await?;
    let fsck = ["fsck", "--repair", "--provider-url", &crew.provider.url];
    // What was stated by force names no cause, and is told: it ends with an error all the same.
    let told = crew.site.run("keeper", &fsck).await;
    let said = told.unwrap_or_else(|error| format!("{error:#}"));
    ensure!(said.contains("the bucket is rebuilt from the journal"), "{said}");
    Ok(())
}

/// Every consumer buries what is no event; all of it goes back, is buried again, and is dropped.
async fn letters_go_back(crew: &Crew) -> Result<()> {
    for subject in [
        "in.checkout.OrderCreated",
        "evt.checkout.PaymentProcessed.JUNK",
        "evt.checkout.OutOfStock.JUNK",
        "evt.checkout.OrderShipped.JUNK",
        "evt.checkout.ShippingFailed.JUNK",
    ] {
        crew.publish(subject, "no event").await?;
    }
    let everybody = [
        "checkout-inventory",
        "checkout-owner",
        "checkout-payment",
        "checkout-shipping",
        "inventory-shipped",
        "notifier",
    ];
    let letters = Letters::new(&crew.operator);
    let buriers = async || {
        let letters = letters.list().await?;
        let names: BTreeSet<String> = letters.into_iter().map(|letter| letter.consumer).collect();
        Ok::<_, anyhow::Error>(names.iter().map(String::as_str).eq(everybody))
    };
    until("everybody buries", async || Ok(buriers().await?.then_some(()))).await?;
    tokio::time::timeout(
        Duration::from_secs(20),
        crew.site.run("operator", &["letters", "redrive", "--all"]),
    )
    .await??;
    until("everybody buries again", async || {
        Ok(buriers().await?.then_some(()))
    })
    .await?;

    let (_, text) = crew.http(Method::GET, "/v1/letters", None).await?;
    let found: Value = serde_json::from_str(&text)?;
    for (n, letter) in found["items"].as_array().context("letters")?.iter().enumerate() {
        let path = format!("/v1/letters/{}", letter["sequence"]);
        let (status, text) = if n % 2 == 0 {
            crew.http(Method::POST, &format!("{path}/redrive"), None).await?
        } else {
            crew.http(Method::DELETE, &path, None).await?
        };
        ensure!(status == 204, "{path} is answered {status}: {text}");
    }
    let last = until("a letter", async || Ok(letters.list().await?.pop())).await?;
    crew.site
        .run("operator", &["letters", "drop", &last.sequence.to_string()])
        .await?;
    Ok(())
}
