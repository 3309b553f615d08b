//! From the order to its end, over HTTP alone.

use jetsaga_tests::harness::{Role, System, audit, cancellation, order, order_with};
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
