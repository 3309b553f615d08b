//! The documented order, placed by a client that knows nothing but NATS.

use futures_util::StreamExt as _;
use jetsaga::{Status, serde_json};
use jetsaga_tests::harness::{System, chained, order, order_with, types};
use serde_json::Value;

const DOCUMENTED: &str = include_str!("../../deploy/seed/order.json");
const SUBJECT: &str = "in.checkout.OrderCreated";

#[tokio::test]
async fn the_documented_order_is_shipped_and_every_event_has_the_documented_shape() {
    let (system, _workers) = System::checkout().await.unwrap();
    system.publish(SUBJECT, DOCUMENTED).await.unwrap();
    let state = system.until_final("ORD-987654").await.unwrap();
    assert_eq!(state.status, Status::Completed);

    let history = system.history("ORD-987654").await.unwrap();
    let mut happened = types(&history);
    assert_eq!(happened.first(), Some(&"OrderCreated"));
    assert_eq!(happened.last(), Some(&"OrderShipped"));
    happened.sort_unstable();
    let all = [
        "InventoryReserved",
        "OrderCreated",
        "OrderShipped",
        "PaymentProcessed",
    ];
    assert_eq!(happened, all);
    chained(&history).unwrap();

    let raw = system.raw_events().await.unwrap();
    for event in raw.iter().filter(|event| event.subject.ends_with(".ORD-987654")) {
        if event.subject.starts_with("evt.checkout.") {
            let said: Value = serde_json::from_str(&event.body).unwrap();
            assert_eq!(event.subject.split('.').nth(2), said["eventType"].as_str());
            has_the_documented_shape(&event.body);
        }
    }
    let created = raw
        .iter()
        .find(|event| event.subject == "evt.checkout.OrderCreated.ORD-987654")
        .unwrap();
    assert!(created.body.starts_with(r#"{"eventId":"a1b2c3d4-e5f6-7890-1234-567890abcdef","eventType":"OrderCreated","timestamp":"2023-10-27T10:30:00Z","payload":{"orderId":"ORD-987654","customerId":"CUST-12345","items":[{"productId":"PROD-A1","quantity":2},{"productId":"PROD-B2","quantity":1}],"totalAmount":75.50,"shippingAddress":{"street":"123 Main St","city":"Anytown","zip":"12345"}},"#), "{}", created.body);
}

/// The four documented fields come first, in their order; the payload names its order; amounts keep their digits.
fn has_the_documented_shape(body: &str) {
    let names = [
        "{\"eventId\":",
        "\"eventType\":",
        "\"timestamp\":",
        "\"payload\":{\"orderId\":\"ORD-987654\"",
    ];
    let places: Vec<_> = names.iter().map(|name| body.find(name)).collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted() && places[0] == Some(0),
        "{body}"
    );
    if body.contains("\"eventType\":\"PaymentProcessed\"") {
        assert!(body.contains("\"amount\":75.50"), "{body}");
    }
    assert!(body.contains("\"totalAmount\":75.50"), "{body}"); // in the state, if not in the payload
}

#[tokio::test]
async fn any_key_value_client_sees_the_state() {
    let (system, _workers) = System::checkout().await.unwrap();
    system.publish(SUBJECT, DOCUMENTED).await.unwrap();
    let bucket = system.js.get_key_value("STATE").await.unwrap();
    let mut watch = bucket.watch_with_history("checkout.ORD-987654").await.unwrap();
    let event = loop {
        let entry = watch.next().await.unwrap().unwrap();
        let event: Value = serde_json::from_slice(&entry.value).unwrap();
        if event["state"]["status"] != "running" {
            break event;
        }
    };
    let value = bucket.get("checkout.ORD-987654").await.unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&value).unwrap(), event);
    assert_eq!(event["eventType"], "OrderShipped");
    assert_eq!(event["state"]["status"], "completed");
    for step in ["payment", "inventory", "shipping"] {
        assert_eq!(event["state"]["steps"][step]["status"], "done", "{event}");
    }
    let keys = bucket.get("stock.PROD-A1").await.unwrap();
    assert!(keys.is_some(), "stock is in the bucket too");
    let forged = bucket.put("checkout.ORD-987654", "nothing".into()).await;
    assert!(forged.is_err(), "no client can write the bucket");
}

#[tokio::test]
async fn the_same_order_again_changes_nothing_at_once_or_later() {
    let (system, _workers) = System::checkout().await.unwrap();
    let placed = (0..50).map(|_| system.publish(SUBJECT, DOCUMENTED));
    for stored in futures_util::future::join_all(placed).await {
        stored.unwrap();
    }
    system.until_final("ORD-987654").await.unwrap();
    system.until_idle().await.unwrap();
    let end = system.journal_end().await.unwrap();

    // Later, under its own event id and under another one, in another spelling of the same amount.
    system.publish(SUBJECT, DOCUMENTED).await.unwrap();
    let other_spelling = DOCUMENTED
        .replace("a1b2c3d4", "a1b2c3d5")
        .replace("75.50", "75.5");
    let answer = system
        .ask(&serde_json::from_str(&other_spelling).unwrap())
        .await
        .unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
    system.until_idle().await.unwrap();

    assert_eq!(
        system.journal_end().await.unwrap(),
        end,
        "the journal is unchanged"
    );
    let books = system.provider.books().await.unwrap();
    assert_eq!((books.charges, books.charged), (1, 7550));
    assert_eq!(system.product("PROD-A1").await.unwrap().shipped, 2);
    assert!(
        system.letters.list().await.unwrap().is_empty(),
        "a duplicate is no fault"
    );
}

#[tokio::test]
async fn an_event_id_belongs_to_one_order() {
    let (system, _workers) = System::checkout().await.unwrap();
    let first = order("ORD-1");
    let mut second = order("ORD-2");
    second["eventId"] = first["eventId"].clone();
    system.place(&first).await.unwrap();
    system.until_final("ORD-1").await.unwrap();
    let answer = system.ask(&second).await.unwrap();

    assert_eq!(
        (&answer["ok"], &answer["reason"]),
        (&false.into(), &"conflict".into())
    );
    let letter = &system.until_letters(1).await.unwrap()[0];
    let event_id = first["eventId"].as_str().unwrap();
    for part in [event_id, "ORD-1", "ORD-2"] {
        assert!(letter.detail.contains(part), "{}", letter.detail);
    }
    assert_eq!(system.state("ORD-2").await.unwrap(), None);
}

#[tokio::test]
async fn an_order_id_keeps_its_first_content() {
    let (system, _workers) = System::checkout().await.unwrap();
    let answer = system.ask(&order("ORD-1")).await.unwrap();
    assert_eq!((&answer["ok"], &answer["id"]), (&true.into(), &"ORD-1".into()));
    system.until_final("ORD-1").await.unwrap();
    let before = system.history("ORD-1").await.unwrap();
    assert_eq!(answer["sequence"], before[0].sequence);

    let mut changed = order_with("ORD-1", "/items/0/quantity", 3);
    changed["eventId"] = order("another")["eventId"].clone();
    let answer = system.ask(&changed).await.unwrap();
    assert_eq!(
        (&answer["ok"], &answer["reason"]),
        (&false.into(), &"conflict".into())
    );
    let letter = &system.until_letters(1).await.unwrap()[0];
    assert_eq!(letter.reason, "conflict");
    assert!(
        letter.detail.contains("ORD-1 exists with another content"),
        "{}",
        letter.detail
    );
    assert_eq!(system.history("ORD-1").await.unwrap(), before);
}
