//! From the order to its end, over HTTP alone.

use jetsaga::StepStatus;
use jetsaga_tests::harness::{Role, System, audit, order, step, until};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{
    front::{Answer, Front},
    sse::{Events, types},
};

#[tokio::test]
async fn an_order_is_placed_followed_to_its_end_and_looked_at() {
    let (system, _workers) = System::checkout().await.unwrap();
    let front = Front::start(&system).await.unwrap();
    let placed = front.place(&order("HTTP-1")["payload"], None).await.unwrap();
    let body = placed.expect(StatusCode::ACCEPTED).unwrap();
    assert_eq!(body["orderId"], "HTTP-1");
    let sequence = body["sequence"].as_u64().unwrap();
    assert_eq!(placed.header("location"), "/v1/orders/HTTP-1");
    assert_eq!(placed.header("jetsaga-sequence"), sequence.to_string());

    let request = front.shop(Method::GET, "/v1/orders/HTTP-1/stream");
    let told = Events::open(request, None).await.unwrap().rest().await.unwrap();
    assert_eq!(types(&told).first(), Some(&"OrderCreated"));
    assert_eq!(types(&told).last(), Some(&"OrderShipped"));
    assert_eq!((told.len(), told[0].id), (4, sequence));
    assert!(told.iter().all(|told| told.data.get("state").is_none()));

    let seen = front.get("/v1/orders/HTTP-1").await.unwrap();
    let last = told.last().unwrap().id;
    let view = seen.expect(StatusCode::OK).unwrap();
    assert_eq!(
        (view["status"].as_str(), view["sequence"].as_u64()),
        (Some("completed"), Some(last))
    );
    assert_eq!(seen.header("etag"), format!("\"{last}\""));
    let again = front
        .shop(Method::GET, "/v1/orders/HTTP-1")
        .header("If-None-Match", format!("\"{last}\""));
    assert_eq!(Answer::of(again).await.unwrap().status, 304);

    let history = front
        .get("/v1/orders/HTTP-1/history")
        .await
        .unwrap()
        .expect(StatusCode::OK)
        .unwrap();
    let events: Vec<_> = history["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["sequence"].as_u64().unwrap(), e["event"].clone()))
        .collect();
    assert_eq!(
        events,
        told.into_iter()
            .map(|told| (told.id, told.data))
            .collect::<Vec<_>>()
    );
    let done = front
        .shop(Method::GET, "/v1/orders/HTTP-1/stream")
        .header("Last-Event-ID", last);
    assert_eq!(
        Answer::of(done).await.unwrap().status,
        204,
        "nothing is left to hear"
    );
    assert_eq!(audit(&system, &["HTTP-1".to_owned()]).await.unwrap(), 1);
    front.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_that_comes_back_in_the_middle_of_a_stream_misses_nothing() {
    let system = System::bare().await.unwrap();
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 10).await.unwrap();
    }
    let _first = system.start_all(&[Role::Order, Role::Payment]).await.unwrap();
    let front = Front::start(&system).await.unwrap();
    let placed = front.place(&order("BACK")["payload"], None).await.unwrap();
    placed.expect(StatusCode::ACCEPTED).unwrap();
    let stream = || front.shop(Method::GET, "/v1/orders/BACK/stream");
    let mut events = Events::open(stream(), None).await.unwrap();
    let mut told = vec![
        events.next().await.unwrap().unwrap(),
        events.next().await.unwrap().unwrap(),
    ];
    drop(events);
    let _rest = system
        .start_all(&[Role::Inventory, Role::Shipping])
        .await
        .unwrap();
    system.until_final("BACK").await.unwrap();
    let last = told[1].id;
    let again = Events::open(stream(), Some(last)).await.unwrap();
    told.extend(again.rest().await.unwrap());
    let by_parameter = front.shop(Method::GET, &format!("/v1/orders/BACK/stream?after={last}"));
    assert_eq!(
        Events::open(by_parameter, None)
            .await
            .unwrap()
            .rest()
            .await
            .unwrap(),
        told[2..]
    );
    let history = system.history("BACK").await.unwrap();
    let all: Vec<_> = history.iter().map(|event| event.sequence).collect();
    assert_eq!(told.iter().map(|told| told.id).collect::<Vec<_>>(), all);
    front.stop().await.unwrap();
}

#[tokio::test]
async fn an_order_that_is_taken_back_is_refunded_and_a_shipped_one_stays() {
    let system = System::bare().await.unwrap();
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 10).await.unwrap();
    }
    let _first = system.start_all(&[Role::Order, Role::Payment]).await.unwrap();
    let front = Front::start(&system).await.unwrap();
    front
        .place(&order("UNDO")["payload"], None)
        .await
        .unwrap()
        .expect(StatusCode::ACCEPTED)
        .unwrap();
    let paid = system.until("UNDO", "paid", |state| step(state, "payment") == StepStatus::Done);
    paid.await.unwrap();
    let cancel = async |id: &str| {
        let request = front
            .shop(Method::POST, &format!("/v1/orders/{id}/cancel"))
            .header("Idempotency-Key", "c");
        Answer::of(request.json(&json!({"reason": "ordered by mistake"})))
            .await
            .unwrap()
    };
    let cancelled = cancel("UNDO").await;
    let sequence = cancelled.expect(StatusCode::ACCEPTED).unwrap()["sequence"]
        .as_u64()
        .unwrap();
    let again = cancel("UNDO").await;
    assert_eq!((again.status, &again.text), (202, &cancelled.text));

    let _rest = system
        .start_all(&[Role::Inventory, Role::Shipping])
        .await
        .unwrap();
    let stream = front.shop(Method::GET, "/v1/orders/UNDO/stream");
    let told = Events::open(stream, None).await.unwrap().rest().await.unwrap();
    assert!(told.iter().any(|told| told.id == sequence));
    assert!(types(&told).contains(&"PaymentRefunded"), "{told:?}");
    assert_eq!(types(&told).last(), Some(&"OrderCancelled"));
    let view = front
        .get("/v1/orders/UNDO")
        .await
        .unwrap()
        .expect(StatusCode::OK)
        .unwrap();
    assert_eq!(
        (&view["status"], &view["reason"]),
        (&json!("cancelled"), &json!("ordered by mistake"))
    );

    front
        .place(&order("SENT")["payload"], None)
        .await
        .unwrap()
        .expect(StatusCode::ACCEPTED)
        .unwrap();
    system.until_final("SENT").await.unwrap();
    let late = front.shop(Method::POST, "/v1/orders/SENT/cancel");
    Answer::of(late).await.unwrap().problem(409, "too-late").unwrap();
    system.until_letters(0).await.unwrap();
    let shipped = until("the stock has left", async || {
        let product = front.get("/v1/products/PROD-A1").await?.expect(StatusCode::OK)?;
        Ok(Some(product).filter(|product| product["shipped"] == 2))
    });
    let product = shipped.await.unwrap();
    assert_eq!((&product["onHand"], &product["reserved"]), (&json!(8), &json!(0)));
    assert_eq!(
        audit(&system, &["UNDO".to_owned(), "SENT".to_owned()])
            .await
            .unwrap(),
        1
    );
    front.stop().await.unwrap();
}
