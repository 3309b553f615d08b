//! One request under one key, whoever asks, whichever gateway answers, and whoever dies.

use anyhow::Result;
use jetsaga_tests::harness::{Role, System, order, order_with, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::front::{Answer, Front};

/// An order without an id.
fn nameless() -> Value {
    let mut order = order("-")["payload"].take();
    order.as_object_mut().unwrap().remove("orderId");
    order
}

#[tokio::test]
async fn the_same_request_under_a_key_gets_the_same_answer_from_any_gateway() {
    let (system, _workers) = System::checkout().await.unwrap();
    let front = Front::start(&system).await.unwrap();
    let first = front.place(&nameless(), Some("k-1")).await.unwrap();
    let body = first.expect(StatusCode::ACCEPTED).unwrap();
    assert!(body["sequence"].is_u64());
    let keys = front.keys.again();
    let again = front.place(&nameless(), Some("k-1")).await.unwrap();
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    front.stop().await.unwrap();

    let other = Front::start_as(&system, keys, |config| config).await.unwrap();
    let spelled = nameless().to_string().replace(':', " : ");
    let request = other
        .shop(Method::POST, "/v1/orders")
        .header("Idempotency-Key", "k-1");
    let spelled = request.header("content-type", "application/json").body(spelled);
    let elsewhere = Answer::of(spelled).await.unwrap();
    assert_eq!(
        (elsewhere.status, &elsewhere.text),
        (first.status, &first.text),
        "another spelling, without quotes"
    );
    let mut changed = nameless();
    changed["items"][0]["quantity"] = json!(1);
    other
        .place(&changed, Some("k-1"))
        .await
        .unwrap()
        .problem(422, "idempotency-key-reused")
        .unwrap();
    let staff = other
        .staff(Method::POST, "/v1/orders")
        .header("Idempotency-Key", "\"k-1\"")
        .json(&changed);
    let staff = Answer::of(staff)
        .await
        .unwrap()
        .expect(StatusCode::ACCEPTED)
        .unwrap();
    assert_ne!(staff["orderId"], body["orderId"], "a key is its caller's own");
    let without = other
        .place(&nameless(), None)
        .await
        .unwrap()
        .expect(StatusCode::ACCEPTED)
        .unwrap();
    assert_ne!(without["orderId"], body["orderId"]);
    other.stop().await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_repeated_without_another_letter() {
    let system = System::bare().await.unwrap();
    let _owner = system.start(Role::Order).await.unwrap();
    let front = Front::start(&system).await.unwrap();
    front
        .place(&order("TWICE")["payload"], None)
        .await
        .unwrap()
        .expect(StatusCode::ACCEPTED)
        .unwrap();
    let other = order_with("TWICE", "/items/0/quantity", 7)["payload"].take();
    for _ in 0..3 {
        front
            .place(&other, Some("k"))
            .await
            .unwrap()
            .problem(409, "conflict")
            .unwrap();
    }
    system.until_letters(1).await.unwrap();
    let same = front
        .place(&order("TWICE")["payload"], Some("k-2"))
        .await
        .unwrap();
    same.expect(StatusCode::ACCEPTED).unwrap();
    assert_eq!(system.history("TWICE").await.unwrap().len(), 1);
    front.stop().await.unwrap();
}

#[tokio::test]
async fn without_an_owner_an_order_is_kept_and_its_answer_comes_later() {
    let system = System::bare().await.unwrap();
    system.start(Role::Order).await.unwrap().stop().await.unwrap(); // its consumers are there now
    let front = Front::start_with(&system, |config| gateway::Config {
        answer_limit: std::time::Duration::from_millis(50),
        ..config
    });
    let front = front.await.unwrap();
    let early = front
        .place(&nameless(), Some("k"))
        .await
        .unwrap()
        .expect(StatusCode::ACCEPTED)
        .unwrap();
    assert!(early.get("sequence").is_none());
    let _owner = system.start(Role::Order).await.unwrap();
    let later = until("the sequence is known", async || {
        let body = front
            .place(&nameless(), Some("k"))
            .await?
            .expect(StatusCode::ACCEPTED)?;
        Ok(Some(body).filter(|body| body["sequence"].is_u64()))
    });
    let later = later.await.unwrap();
    assert_eq!(later["orderId"], early["orderId"]);
    let id = early["orderId"].as_str().unwrap();
    assert_eq!(system.history(id).await.unwrap().len(), 1, "one order");
    front.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_request_under_a_key_that_is_being_answered_is_told_so() {
    let system = System::bare().await.unwrap();
    let front = Front::start(&system).await.unwrap(); // nobody answers: the first one waits
    let (order, slow) = (nameless(), async || -> Result<Answer> {
        front.place(&nameless(), Some("k")).await
    });
    let second = async {
        until("the first one is recorded", async || {
            let stream = system.js.get_stream("REQUESTS").await?;
            Ok((stream.cached_info().state.messages == 1).then_some(()))
        })
        .await?;
        front.place(&order, Some("k")).await
    };
    let (first, second) = tokio::join!(slow(), second);
    let second = second.unwrap();
    second.problem(409, "request-in-flight").unwrap();
    assert_eq!(second.header("retry-after"), "1");
    first.unwrap().expect(StatusCode::ACCEPTED).unwrap();
    front.stop().await.unwrap();
}

#[tokio::test]
async fn a_key_whose_gateway_died_between_two_writes_is_healed_by_asking_again() {
    let system = System::bare().await.unwrap();
    let front = Front::start(&system).await.unwrap();
    // The first write is there and nothing else: nobody has published the order, or answered.
    let kept = tokio::time::timeout(
        std::time::Duration::from_millis(200),
        front.place(&nameless(), Some("k")),
    )
    .await;
    assert!(kept.is_err(), "there is no owner: the client gave up");
    system
        .js
        .get_stream("INBOX")
        .await
        .unwrap()
        .purge()
        .await
        .unwrap();
    let _owner = system.start(Role::Order).await.unwrap();
    let healed = until("the key is free again", async || {
        Ok(Some(front.place(&nameless(), Some("k")).await?).filter(|answer| answer.status == 202))
    });
    let healed = healed.await.unwrap().expect(StatusCode::ACCEPTED).unwrap();
    let again = front
        .place(&nameless(), Some("k"))
        .await
        .unwrap()
        .expect(StatusCode::ACCEPTED)
        .unwrap();
    assert_eq!(healed, again);
    assert!(healed["sequence"].is_u64());
    front.stop().await.unwrap();
}
