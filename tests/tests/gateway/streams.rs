//! Live streams cost the server one reader, however many there are, and end when their reader may not read any more.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use jetsaga_tests::harness::{System, order, until};
use reqwest::Method;

use crate::{
    front::{Answer, Front},
    sse::Events,
};

async fn consumers(system: &System) -> Result<usize> {
    let mut stream = system.js.get_stream("EVENTS").await?;
    Ok(stream.info().await?.state.consumer_count)
}

#[tokio::test]
async fn a_hundred_streams_are_one_reader_of_the_journal() {
    let (system, _workers) = System::checkout().await.unwrap();
    let front = Front::start(&system).await.unwrap();
    front.place(&order("ORD-1")["payload"], None).await.unwrap();
    system.until_final("ORD-1").await.unwrap();
    let before = consumers(&system).await.unwrap();

    let open = (0..100).map(|_| Events::open(front.staff(Method::GET, "/v1/stream"), None));
    let mut streams = Vec::new();
    for stream in join_all(open).await {
        streams.push(stream.unwrap());
    }
    assert_eq!(consumers(&system).await.unwrap(), before);
    front.place(&order("ORD-2")["payload"], None).await.unwrap();
    system.until_final("ORD-2").await.unwrap();
    for stream in &mut streams {
        // The gateway's reader may have been a little behind when the stream began.
        let mut event = stream.next().await.unwrap().unwrap();
        while event.data["payload"]["orderId"] == "ORD-1" {
            event = stream.next().await.unwrap().unwrap();
        }
        assert_eq!(
            event.data["payload"]["orderId"], "ORD-2",
            "each hears what happens"
        );
    }
    drop(streams);

    // Opened and dropped at once, in the middle of whatever the gateway does about it.
    for n in 0..300_u64 {
        let request = front.staff(Method::GET, "/v1/stream?after=0");
        let _ = tokio::time::timeout(Duration::from_micros(200 * (n % 20)), request.send()).await;
    }
    until("nothing is left of them", async || {
        Ok((consumers(&system).await? <= before).then_some(()))
    })
    .await
    .unwrap();
    front.stop().await.unwrap();
}

#[tokio::test]
async fn a_stream_from_the_past_goes_over_into_the_present_without_a_gap() {
    let (system, _workers) = System::checkout().await.unwrap();
    let front = Front::start(&system).await.unwrap();
    for n in 0..30 {
        let id = format!("ORD-{n}");
        front.place(&order(&id)["payload"], None).await.unwrap();
    }
    let mut stream = Events::open(front.staff(Method::GET, "/v1/stream?after=0"), None)
        .await
        .unwrap();
    for n in 30..60 {
        let id = format!("ORD-{n}");
        front.place(&order(&id)["payload"], None).await.unwrap();
    }
    for n in 0..60 {
        system.until_final(&format!("ORD-{n}")).await.unwrap();
    }
    system.until_idle().await.unwrap();
    let all: Vec<u64> = system
        .raw_events()
        .await
        .unwrap()
        .iter()
        .map(|event| event.sequence)
        .collect();
    let mut heard = Vec::new();
    while heard.last() != all.last() {
        heard.push(stream.next().await.unwrap().unwrap().id);
    }
    assert_eq!(heard, all);
    front.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_taken_away_ends_its_streams() {
    let (system, _workers) = System::checkout().await.unwrap();
    let front = Front::start(&system).await.unwrap();
    let mut stream = Events::open(front.staff(Method::GET, "/v1/stream"), None)
        .await
        .unwrap();
    let file = front.keys.dir.path().join("keys");
    let text = std::fs::read_to_string(&file).unwrap();
    let left: Vec<&str> = text.lines().filter(|line| !line.contains("operator")).collect();
    std::fs::write(&file, left.join("\n")).unwrap();
    assert_eq!(stream.next().await.unwrap(), None, "it ends");
    let again = Answer::of(front.staff(Method::GET, "/v1/stream")).await.unwrap();
    again.problem(401, "unauthenticated").unwrap();
    front.stop().await.unwrap();
}

#[tokio::test]
async fn tables_that_are_missing_or_of_another_journal_are_not_shown() {
    let (system, other) = (System::bare().await.unwrap(), System::bare().await.unwrap());
    let dir = tempfile::tempdir().unwrap();
    let missing = format!("sqlite:{}", dir.path().join("typo.db").display());
    let of = |url: &str| {
        let url = url.to_owned();
        move |config| gateway::Config {
            read_model: Some(url),
            ..config
        }
    };
    let refused = Front::start_with(&system, of(&missing))
        .await
        .unwrap()
        .stop()
        .await;
    let refused = format!("{:#}", refused.unwrap_err());
    assert!(
        refused.contains("there is no database") && refused.contains("typo.db"),
        "{refused}"
    );
    assert!(!dir.path().join("typo.db").exists());

    let url = format!("sqlite:{}", dir.path().join("other.db").display());
    projector::status(&other.nats, &url).await.unwrap();
    let refused = Front::start_with(&system, of(&url)).await.unwrap().stop().await;
    let refused = format!("{:#}", refused.unwrap_err());
    assert!(
        refused.contains("was filled from the journal made at"),
        "{refused}"
    );
}
