//! Customers over HTTP.

use jetsaga_tests::harness::System;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::front::{Answer, Front};

const ADA: &str = "/v1/customers/ADA";

async fn change(front: &Front, tag: &str, body: Value) -> Answer {
    let request = front.shop(Method::PATCH, ADA).header("If-Match", tag).json(&body);
    Answer::of(request).await.unwrap()
}

#[tokio::test]
async fn a_customer_is_created_changed_remembered_and_forgotten() {
    let system = System::bare().await.unwrap();
    let front = Front::start(&system).await.unwrap();
    let ada = json!({"customerId": "ADA", "name": "Ada", "email": "ada@example.org"});
    let create = async |key: &str, body: &Value| {
        let request = front
            .shop(Method::POST, "/v1/customers")
            .header("Idempotency-Key", key)
            .json(body);
        Answer::of(request).await.unwrap()
    };
    let created = create("k", &ada).await;
    assert_eq!(created.expect(StatusCode::CREATED).unwrap()["customerId"], "ADA");
    assert_eq!(created.header("location"), ADA);
    let again = create("k", &ada).await;
    assert_eq!((again.status, &again.text), (201, &created.text));
    let mut eve = ada.clone();
    eve["name"] = json!("Eve");
    create("k", &eve)
        .await
        .problem(422, "idempotency-key-reused")
        .unwrap();
    create("other", &eve).await.problem(409, "conflict").unwrap();

    let first = created.header("etag").to_owned();
    let seen = front.get(ADA).await.unwrap();
    assert_eq!(
        (seen.header("etag"), &seen.json().unwrap()["email"]),
        (&*first, &json!("ada@example.org"))
    );
    let moved = change(
        &front,
        &first,
        json!({"address": {"street": "1 High St", "city": "Anytown", "zip": "12345"}}),
    )
    .await;
    moved.expect(StatusCode::OK).unwrap();
    change(&front, &first, json!({"email": "late@example.org"}))
        .await
        .problem(412, "stale")
        .unwrap();
    let written = change(&front, moved.header("etag"), json!({"email": "new@example.org"})).await;
    written.expect(StatusCode::OK).unwrap();

    let sequence = moved.header("jetsaga-sequence").to_owned();
    let then = front
        .get(&format!("{ADA}?as_of=seq:{sequence}"))
        .await
        .unwrap()
        .expect(StatusCode::OK)
        .unwrap();
    assert_eq!(
        (&then["email"], &then["address"]["street"]),
        (&json!("ada@example.org"), &json!("1 High St"))
    );
    let history = front
        .get(&format!("{ADA}/history?limit=2"))
        .await
        .unwrap()
        .expect(StatusCode::OK)
        .unwrap();
    assert_eq!(history["events"][0]["event"]["eventType"], "CustomerEmailChanged");
    let rest = format!("{ADA}/history?before={}", history["next"]);
    let rest = front.get(&rest).await.unwrap().expect(StatusCode::OK).unwrap();
    assert_eq!(
        (rest["events"].as_array().unwrap().len(), rest.get("next")),
        (1, None)
    );

    let erased = Answer::of(front.staff(Method::DELETE, ADA)).await.unwrap();
    let gone = erased.expect(StatusCode::OK).unwrap();
    assert_eq!(
        Answer::of(front.staff(Method::DELETE, ADA))
            .await
            .unwrap()
            .expect(StatusCode::OK)
            .unwrap(),
        gone,
        "twice is once"
    );
    let view = front.get(ADA).await.unwrap().expect(StatusCode::OK).unwrap();
    assert_eq!(
        (&view["erased"], &view["name"], &view["email"], &view["address"]),
        (&json!(true), &Value::Null, &Value::Null, &Value::Null)
    );
    for path in [format!("{ADA}?as_of=seq:{sequence}"), format!("{ADA}/history")] {
        let text = front.get(&path).await.unwrap().text;
        assert!(
            !text.contains("example.org") && !text.contains("High St") && text.contains("ADA"),
            "{text}"
        );
    }
    change(&front, "*", json!({"email": "back@example.org"}))
        .await
        .problem(409, "conflict")
        .unwrap();
    let unnamed = create("k-3", &json!({"name": "Bob", "email": "b@example.org"}))
        .await
        .expect(StatusCode::CREATED)
        .unwrap();
    assert!(unnamed["customerId"].as_str().unwrap().starts_with("CUST-"));
    front.stop().await.unwrap();
}
