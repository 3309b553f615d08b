//! One trace for each saga, across processes, restarts and redeliveries: every span that an OTLP receiver gets has its
//! parent, and a join names both of its causes.

use std::collections::BTreeSet;

use async_nats::{HeaderMap, HeaderValue};
use jetsaga::Status;
use jetsaga_tests::harness::{order, order_with, signal, until};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;

use crate::{
    fleet::{Fleet, stocked},
    receiver::{Receiver, Span},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PLACER: &str = "00f067aa0ba902b7";

/// The spans of the trace, if every one has its parent and these are among them.
fn whole(receiver: &Receiver, expected: &[&str]) -> Option<Vec<Span>> {
    let spans: Vec<Span> = receiver
        .spans()
        .into_iter()
        .filter(|span| span.trace == TRACE)
        .collect();
    let ids: BTreeSet<&str> = spans
        .iter()
        .map(|span| span.id.as_str())
        .chain([PLACER])
        .collect();
    let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    let complete = spans.iter().all(|span| ids.contains(span.parent.as_str()))
        && expected.iter().all(|name| names.contains(name));
    complete.then_some(spans)
}

#[tokio::test]
async fn a_cancelled_checkout_is_one_trace_whoever_dies() {
    let system = stocked().await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    let fleet = Fleet::new(&system, &receiver.url);
    let _order = fleet.start("order").await.unwrap();
    let payment = fleet.start("payment").await.unwrap();
    let _inventory = fleet.start("inventory").await.unwrap();

    // The first payment worker dies in the middle of its call; what it held comes again to the second.
    system
        .provider
        .failures(json!({"delay_ms": 3_000, "delay_rate": 1.0}))
        .await
        .unwrap();
    let order = order_with("ORD-1", "/shippingAddress/zip", "00000");
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", format!("00-{TRACE}-{PLACER}-01"));
    system
        .publish_with("in.checkout.OrderCreated", headers, order.to_string())
        .await
        .unwrap();
    until("the charge is under way", async || {
        Ok((system.provider.books().await?.in_flight > 0).then_some(()))
    })
    .await
    .unwrap();
    signal("-KILL", &payment.id().unwrap().to_string()).await.unwrap();
    system
        .provider
        .failures(json!({"delay_rate": 0.0}))
        .await
        .unwrap();
    let _payment = fleet.start("payment").await.unwrap();
    let _shipping = fleet.start("shipping").await.unwrap();
    system.until_final("ORD-1").await.unwrap();

    let expected = [
        "process in.checkout.OrderCreated",
        "process evt.checkout.OrderCreated.{id}",
        "process evt.checkout.InventoryReserved.{id}",
        "publish timer.checkout.{id}.deadline",
        "publish evt.checkout.OrderCreated.{id}",
        "publish evt.checkout.PaymentProcessed.{id}",
        "publish evt.stock.StockReserved.{id}",
        "publish evt.checkout.OrderCancelled.{id}",
        "run payment",
        "run inventory",
        "run shipping",
        "undo payment",
        "undo inventory",
    ];
    let spans = until("every span has its parent", async || {
        Ok(whole(&receiver, &expected))
    });
    let spans = spans.await;
    let Ok(spans) = spans else {
        panic!("{:#?}", receiver.spans());
    };
    let of = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    assert_eq!(
        services,
        BTreeSet::from(["inventory", "order", "payment", "shipping"])
    );
    for span in &spans {
        let kind = match span.name.split(' ').next() {
            Some("process") => SpanKind::Consumer,
            Some("publish") => SpanKind::Producer,
            _ => SpanKind::Client,
        };
        assert_eq!(span.kind, kind as i32, "{span:?}");
    }

    let again = of("process evt.checkout.OrderCreated.{id}");
    let again = again.iter().filter(|span| {
        let group = &span.attributes["messaging.consumer.group.name"];
        group == "checkout-payment" && span.attributes["jetsaga.redelivered"] == "true"
    });
    assert!(again.count() >= 1, "the redelivery shows as one");

    let run = of("run shipping");
    assert_eq!(run.len(), 1, "a join fires once");
    let handled = spans.iter().find(|span| span.id == run[0].parent).unwrap();
    let by_id = |id: &str| spans.iter().find(|span| span.id == id).unwrap();
    // What it was delivered is a message of one step; the link names where the other step was when it wrote.
    let delivered = by_id(&handled.parent);
    let [other] = handled.links.as_slice() else {
        panic!("a join has one cause besides its parent: {handled:?}");
    };
    let steps = [by_id(&delivered.parent), by_id(other)];
    let steps = steps.map(|span| span.attributes["messaging.consumer.group.name"].as_str());
    assert_eq!(
        BTreeSet::from(steps),
        BTreeSet::from(["checkout-inventory", "checkout-payment"])
    );
    for span in spans.iter().filter(|span| span.name.starts_with("publish ")) {
        let by = by_id(&span.parent).name.as_str();
        assert!(
            by.starts_with("process ") || by.starts_with("run ") || by.starts_with("undo "),
            "{by}: {span:?}"
        );
        assert_eq!(span.attributes["messaging.operation.type"], "send");
    }
    assert_eq!(run[0].attributes["jetsaga.outcome"], "refused");
    assert_eq!(of("undo payment")[0].attributes["jetsaga.saga.id"], "ORD-1");
}

/// Nobody pays, so the deadline has the order taken back: what the server sends by itself belongs to the trace as well.
/// What others have to say about it goes with every message.
#[tokio::test]
async fn a_deadline_is_a_part_of_the_trace_and_so_is_what_others_say() {
    let system = stocked().await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    let fleet = Fleet::new(&system, &receiver.url);
    let order_worker = fleet.start_with("order", |command| command.args(["--order-deadline", "1s"]));
    let _order = order_worker.await.unwrap();
    let _inventory = fleet.start("inventory").await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", format!("00-{TRACE}-{PLACER}-01"));
    headers.insert("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
    let order = order("ORD-1").to_string();
    let placed = system.publish_with("in.checkout.OrderCreated", headers, order);
    placed.await.unwrap();
    system
        .until("ORD-1", "late", |state| state.status == Status::Compensating)
        .await
        .unwrap();
    let _payment = fleet.start("payment").await.unwrap();
    system.until_final("ORD-1").await.unwrap();

    let expected = ["process due.checkout.{id}.deadline", "undo inventory"];
    let spans = until("every span has its parent", async || {
        Ok(whole(&receiver, &expected))
    });
    let Ok(spans) = spans.await else {
        panic!("{:#?}", receiver.spans());
    };
    let fired = spans.iter().find(|span| span.name == expected[0]).unwrap();
    let armed = spans.iter().find(|span| span.id == fired.parent).unwrap();
    assert_eq!(armed.name, "publish timer.checkout.{id}.deadline");
    for event in system.raw_events().await.unwrap() {
        if !event.subject.contains("StockAdjusted") && !event.subject.contains(".adjustment.") {
            let state = event.headers.get("tracestate").map(HeaderValue::as_str);
            assert_eq!(
                state,
                Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
                "{event:?}"
            );
        }
    }
}

/// What comes in by HTTP begins its trace at the gateway.
#[tokio::test]
async fn a_request_by_http_and_its_saga_are_one_trace() {
    let system = stocked().await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    let fleet = Fleet::new(&system, &receiver.url);
    let mut running = Vec::new();
    for worker in ["order", "payment", "inventory", "shipping"] {
        running.push(fleet.start(worker).await.unwrap());
    }
    let (_gateway, url) = fleet.gateway().await.unwrap();
    system.provider.failures(json!({"error_rate": 1})).await.unwrap();
    let answer = reqwest::Client::new()
        .post(format!("{url}/v1/orders"))
        .header("Idempotency-Key", "\"1\"")
        .header("traceparent", format!("00-{TRACE}-{PLACER}-01"))
        .json(&order("ORD-1")["payload"])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    until("a charge has failed", async || {
        let failed = |span: &Span| span.trace == TRACE && span.attributes.contains_key("error.type");
        Ok(receiver.spans().into_iter().find(failed))
    })
    .await
    .unwrap();
    system.provider.failures(json!({"error_rate": 0})).await.unwrap();
    system.until_final("ORD-1").await.unwrap();

    let expected = [
        "POST /v1/orders",
        "publish in.checkout.OrderCreated",
        "process in.checkout.OrderCreated",
        "run shipping",
    ];
    let spans = until("every span has its parent", async || {
        Ok(whole(&receiver, &expected))
    });
    let Ok(spans) = spans.await else {
        panic!("{:#?}", receiver.spans());
    };
    let of = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let [request] = of("POST /v1/orders")[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!(
        (request.kind, request.parent.as_str()),
        (SpanKind::Server as i32, PLACER)
    );
    assert_eq!(request.attributes["http.response.status_code"], "202");
    let [told] = of("publish in.checkout.OrderCreated")[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!(
        (told.kind, &told.parent),
        (SpanKind::Producer as i32, &request.id)
    );
    let [let_in] = of("process in.checkout.OrderCreated")[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!(let_in.parent, told.id, "{spans:#?}");
    let failed = spans
        .iter()
        .filter(|span| span.attributes.contains_key("error.type"));
    let failed: Vec<_> = failed.collect();
    for span in &failed {
        assert_eq!(span.name, "process evt.checkout.OrderCreated.{id}");
        assert_eq!(span.attributes["error.type"], "effect");
        assert_eq!(span.attributes["jetsaga.fate"], "handed back");
        assert!(span.is_error, "{span:?}");
    }
    assert!(!failed.is_empty());
}
