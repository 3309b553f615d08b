//! Who comes in, what is shown to whom, and that nobody holds up another.

use std::{io::Write as _, time::Duration};

use gateway::{Config, Role as Of, new_token};
use jetsaga::Token;
use jetsaga_tests::harness::{Role, System, order, until};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    front::{Answer, Front},
    sse::Events,
};

#[tokio::test]
async fn every_described_operation_asks_for_a_token_and_the_document_is_open() {
    let system = System::bare().await.unwrap();
    let front = Front::start(&system).await.unwrap();
    let document = Answer::of(front.anybody(Method::GET, "/openapi.json"))
        .await
        .unwrap();
    let document = document.expect(StatusCode::OK).unwrap();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path
                .replace("{id}", "X")
                .replace("{sku}", "X")
                .replace("{seq}", "1");
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = Answer::of(front.anybody(method, &path)).await.unwrap();
            answer.problem(401, "unauthenticated").unwrap();
            asked += 1;
        }
    }
    assert!(asked >= 15, "{asked}");
    let page = Answer::of(front.anybody(Method::GET, "/docs")).await.unwrap();
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(
        !page.text.contains("http://") && !page.text.contains("https://"),
        "nothing comes from elsewhere"
    );
    front.stop().await.unwrap();
}

#[tokio::test]
async fn the_keys_are_read_again_while_it_runs_and_a_broken_file_changes_nothing() {
    let system = System::bare().await.unwrap();
    let front = Front::start(&system).await.unwrap();
    let file = front.keys.dir.path().join("keys");
    let next = new_token(&Token::new("shop").unwrap(), Of::CustomerFacing).unwrap();
    let asks =
        async |token: &str| Answer::of(front.anybody(Method::GET, "/v1/orders/X").bearer_auth(token)).await;
    assert_eq!(asks(&next.token).await.unwrap().status, 401);

    let mut keys = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
    writeln!(keys, "{}", next.line).unwrap();
    until("the new token counts", async || {
        Ok((asks(&next.token).await?.status == 404).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(
        asks(&front.keys.shop).await.unwrap().status,
        404,
        "the old one still does"
    );

    std::fs::write(&file, &next.line).unwrap();
    until("the old token is out", async || {
        Ok((asks(&front.keys.shop).await?.status == 401).then_some(()))
    })
    .await
    .unwrap();
    std::fs::write(&file, "no line of keys\n").unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await; // longer than the file is left unread
    assert_eq!(asks(&next.token).await.unwrap().status, 404);
    front.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_has_an_id_and_a_place_in_a_trace_that_its_message_carries() {
    let system = System::bare().await.unwrap();
    let front = Front::start(&system).await.unwrap();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = front
        .shop(Method::POST, "/v1/orders")
        .json(&order("TRACED")["payload"]);
    let request = request
        .header("x-request-id", "mine-1")
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    let answer = Answer::of(request).await.unwrap();
    assert_eq!(answer.header("x-request-id"), "mine-1");
    let written = answer.header("traceparent").to_owned();
    assert!(
        written.starts_with(&format!("00-{trace}-")) && !written.contains("00f067aa0ba902b7"),
        "{written}"
    );
    let inbox = system.js.get_stream("INBOX").await.unwrap();
    let message = inbox.get_raw_message(1).await.unwrap();
    assert_eq!(message.headers.get("traceparent").unwrap().as_str(), written);

    let odd = front
        .shop(Method::GET, "/v1/orders/X")
        .header("x-request-id", "a b{}")
        .header("traceparent", "00-zz");
    let answer = Answer::of(odd).await.unwrap();
    answer.problem(404, "not-found").unwrap();
    assert_ne!(answer.header("x-request-id"), "a b{}");
    assert_eq!(answer.header("traceparent").len(), 55);
    front.stop().await.unwrap();
}

#[tokio::test]
async fn slow_clients_are_cut_and_more_than_fit_are_refused() {
    let system = System::bare().await.unwrap();
    let _owner = system.start(Role::Order).await.unwrap();
    let short = Duration::from_millis(300);
    let limits = |config| Config {
        header_limit: short,
        body_limit: short,
        streams: 2,
        connections: 8,
        ..config
    };
    let front = Front::start_with(&system, limits).await.unwrap();
    front
        .place(&order("OPEN")["payload"], None)
        .await
        .unwrap()
        .expect(StatusCode::ACCEPTED)
        .unwrap();

    let address = front.url.trim_start_matches("http://").to_owned();
    let mut slow = TcpStream::connect(&address).await.unwrap();
    slow.write_all(b"GET /v1/orders HTTP/1.1\r\nx-slow: ")
        .await
        .unwrap();
    let mut nothing = Vec::new();
    let cut = slow.read_to_end(&mut nothing);
    assert!(
        tokio::time::timeout(Duration::from_secs(10), cut).await.is_ok(),
        "half a header holds no connection"
    );

    let body = b"POST /v1/orders HTTP/1.1\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 10\r\nauthorization: Bearer ";
    let mut slow = TcpStream::connect(&address).await.unwrap();
    slow.write_all(&[body, front.keys.shop.as_bytes(), b"\r\n\r\n{"].concat())
        .await
        .unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("body-timeout"),
        "{answer}"
    );

    let open = async || Events::open(front.shop(Method::GET, "/v1/orders/OPEN/stream"), None).await;
    let streams = [open().await.unwrap(), open().await.unwrap()];
    let third = Answer::of(front.shop(Method::GET, "/v1/orders/OPEN/stream"))
        .await
        .unwrap();
    third.problem(503, "too-many-streams").unwrap();
    assert!(front.nats.metrics.text().contains("jetsaga_http_streams 2"));
    drop(streams);
    until("a place is free", async || Ok(open().await.ok()))
        .await
        .unwrap();
    front.stop().await.unwrap();
}

#[tokio::test]
async fn streams_end_when_the_gateway_stops_and_letters_go_back() {
    let system = System::bare().await.unwrap();
    let _owner = system.start(Role::Order).await.unwrap();
    let front = Front::start(&system).await.unwrap();
    system
        .publish("in.checkout.OrderCreated", "no order")
        .await
        .unwrap();
    system.until_letters(1).await.unwrap();
    let list = Answer::of(front.staff(Method::GET, "/v1/letters?limit=1"))
        .await
        .unwrap()
        .expect(StatusCode::OK)
        .unwrap();
    assert_eq!(
        (&list["items"][0]["body"], list.get("next")),
        (&json!("no order"), None)
    );
    let name = list["items"][0]["sequence"].as_u64().unwrap();
    let one = Answer::of(front.staff(Method::GET, &format!("/v1/letters/{name}")))
        .await
        .unwrap();
    assert_eq!(one.expect(StatusCode::OK).unwrap(), list["items"][0]);
    let back = Answer::of(front.staff(Method::POST, &format!("/v1/letters/{name}/redrive")))
        .await
        .unwrap();
    assert_eq!(back.status, 204, "{}", back.text);
    let again = system.until_letters(1).await.unwrap()[0].sequence;
    assert_ne!(again, name, "it is a letter again");
    assert_eq!(
        Answer::of(front.staff(Method::DELETE, &format!("/v1/letters/{again}")))
            .await
            .unwrap()
            .status,
        204
    );
    system.until_letters(0).await.unwrap();

    let mut all = Events::open(front.staff(Method::GET, "/v1/stream"), None)
        .await
        .unwrap();
    let placed = front
        .place(&order("LIVE")["payload"], None)
        .await
        .unwrap()
        .expect(StatusCode::ACCEPTED)
        .unwrap();
    let told = all.next().await.unwrap().unwrap();
    assert_eq!(
        (told.id, &told.data["payload"]["orderId"]),
        (placed["sequence"].as_u64().unwrap(), &json!("LIVE"))
    );
    let mut one = Events::open(front.shop(Method::GET, "/v1/orders/LIVE/stream"), None)
        .await
        .unwrap();
    assert_eq!(one.next().await.unwrap(), Some(told));
    let (stopped, all, one) = tokio::join!(front.stop(), all.rest(), one.rest());
    stopped.unwrap();
    assert_eq!(
        (all.unwrap(), one.unwrap()),
        (vec![], vec![]),
        "they end in good order"
    );
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_and_slows_nobody() {
    let system = System::bare().await.unwrap();
    let limits = |config| Config {
        write_limit: Duration::from_millis(500),
        ..config
    };
    let front = Front::start_with(&system, limits).await.unwrap();
    let address = front.url.trim_start_matches("http://").to_owned();
    let mut deaf = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "GET /v1/stream?after=0 HTTP/1.1\r\nauthorization: Bearer {}\r\n\r\n",
        front.keys.operator
    );
    deaf.write_all(head.as_bytes()).await.unwrap();
    until("the stream is open", async || {
        Ok(front.nats.metrics.text().contains("http_streams 1").then_some(()))
    })
    .await
    .unwrap();
    // More than the buffers of both sides hold.
    for n in 0..100 {
        let mut event = order(&format!("BIG-{n}"));
        event["payload"] = json!({"text": "x".repeat(200_000)});
        event["state"] = json!({});
        system
            .publish(&format!("evt.note.Written.BIG-{n}"), event.to_string())
            .await
            .unwrap();
    }
    until("the deaf client is cut", async || {
        front.get("/v1/orders/NONE").await?.problem(404, "not-found")?;
        Ok(front.nats.metrics.text().contains("http_streams 0").then_some(()))
    })
    .await
    .unwrap();
    drop(deaf);
    front.stop().await.unwrap();
}
