use async_nats::HeaderMap;
use jetsaga_tests::harness::{cancellation, order, until};
use serde_json::{Value, json};

use crate::{
    fleet::{Fleet, stocked},
    receiver::Receiver,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What stands for a person in this test: no log may have it.
const PERSON: [&str; 5] = ["Lovelace", "St James Square", "ada@example.org", "SW1Y", "+44 20"];

#[tokio::test]
async fn logs_name_the_saga_and_the_trace_and_no_person() {
    let system = stocked().await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    let fleet = Fleet::new(&system, &receiver.url);
    let mut running = Vec::new();
    for worker in ["order", "payment", "inventory", "shipping", "outbound"] {
        let talkative = [("JETSAGA_LOG", "debug"), ("JETSAGA_LOG_FORMAT", "json")];
        let json = fleet.start_with(worker, |command| command.envs(talkative)).await;
        running.push(json.unwrap());
    }
    let address = json!({"street": "12 St James Square", "city": "London", "zip": "SW1Y 4JH"});
    let placed = |id: &str| {
        let mut order = order(id);
        order["payload"]["shippingAddress"] = address.clone();
        order
    };
    // One that is fine, one that is taken back, one whose content changes, and several in which people are where
    // something else should be.
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let fine = placed("ORD-1").to_string();
    system
        .publish_with("in.checkout.OrderCreated", headers, fine)
        .await
        .unwrap();
    system.until_final("ORD-1").await.unwrap();
    let mut other = placed("ORD-1");
    other["eventId"] = json!("11111111-2222-4333-8444-555555555555");
    other["payload"]["shippingAddress"]["city"] = json!("Lovelace");
    system.place(&other).await.unwrap();
    system
        .place(&cancellation("ORD-1", "for Ada Lovelace"))
        .await
        .unwrap();
    system
        .place(&cancellation("ORD-404", "for Ada Lovelace"))
        .await
        .unwrap();
    let mut odd = Vec::new();
    for (pointer, value) in [
        ("/totalAmount", json!("Ada Lovelace")),
        ("/items", json!("ada@example.org")),
        ("/items/0/quantity", json!("+44 20 7946 0000")),
        ("/customerId", json!("Ada Lovelace")),
        ("/orderId", json!("ada@example.org")),
        ("/shippingAddress", json!("12 St James Square, Ada Lovelace")),
    ] {
        let mut order = placed(&format!("ODD-{}", odd.len()));
        *order["payload"].pointer_mut(pointer).unwrap() = value;
        order["eventId"] = json!(format!("11111111-2222-4333-8444-00000000000{}", odd.len()));
        system.place(&order).await.unwrap();
        odd.push(order);
    }
    system
        .publish("in.checkout.OrderCreated", "Ada Lovelace, ada@example.org")
        .await
        .unwrap();
    until("all of it is buried", async || {
        let letters = system.letters.list().await?;
        Ok((letters.len() >= odd.len() + 3).then_some(()))
    })
    .await
    .unwrap();

    let mut lines = Vec::new();
    for process in running {
        process.terminate().await.unwrap();
        let (code, said) = process.ended().await.unwrap();
        assert_eq!(code, Some(0), "{said}");
        for person in PERSON {
            let found = said.lines().find(|line| line.contains(person));
            assert_eq!(found, None, "{person}");
        }
        let read = said
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect(line));
        lines.extend(read);
    }
    let about = |id: &str| {
        lines
            .iter()
            .filter(|line| line["saga_id"] == id)
            .collect::<Vec<_>>()
    };
    let first = about("ORD-1");
    assert!(first.iter().all(|line| line["saga"] == "checkout"), "{first:#?}");
    let conflict = first.iter().find(|line| line["reason"] == "conflict");
    assert!(
        conflict.is_some(),
        "an order is named as soon as it is known which: {lines:#?}"
    );
    let traced = lines.iter().filter(|line| line["trace_id"].is_string()).count();
    assert!(traced >= odd.len(), "{lines:#?}");
}
