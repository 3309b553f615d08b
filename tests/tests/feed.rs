//! The journal in order, whatever happens to the consumer, the connection and the server underneath.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use jetsaga::{Feed, JournalInfo};
use jetsaga_tests::harness::{System, until};
use serde_json::json;
use tokio::time::timeout;

/// Publishes `count` events of as many entities, one after another, and returns their sequences.
async fn publish(system: &System, kind: &str, count: usize, from: usize) -> Result<Vec<u64>> {
    try_join_all((from..from + count).map(|n| {
        let event = json!({"eventId": "a1b2c3d4-e5f6-7890-1234-567890abcdef", "eventType": "LampLit",
            "timestamp": "2023-10-27T10:30:00Z", "payload": {"n": n}, "state": {"n": n}});
        async move {
            system
                .publish(&format!("evt.{kind}.LampLit.L-{n}"), event.to_string())
                .await
        }
    }))
    .await
}

async fn read(feed: &mut Feed, count: usize) -> Result<Vec<u64>> {
    let mut sequences = Vec::new();
    while sequences.len() < count {
        let most = (count - sequences.len()).min(100);
        let entries = timeout(Duration::from_secs(60), feed.batch(most)).await?;
        sequences.extend(entries.iter().map(|entry| entry.sequence));
    }
    Ok(sequences)
}

#[tokio::test]
async fn every_event_comes_once_and_in_order() {
    let system = System::bare().await.unwrap();
    let mut sequences = publish(&system, "lamp", 3_000, 0).await.unwrap();
    sequences.sort_unstable();
    let mut feed = Feed::open(&system.nats, &[], 0).await.unwrap();
    assert_eq!(read(&mut feed, 3_000).await.unwrap(), sequences);

    let mut feed = Feed::open(&system.nats, &[], 2_500).await.unwrap();
    assert_eq!(read(&mut feed, 500).await.unwrap(), sequences[2_500..]);
}

#[tokio::test]
async fn a_filter_leaves_out_the_rest() {
    let system = System::bare().await.unwrap();
    publish(&system, "lamp", 10, 0).await.unwrap();
    let mut wanted = publish(&system, "door", 10, 0).await.unwrap();
    wanted.sort_unstable();
    publish(&system, "lamp", 10, 10).await.unwrap();
    let filters = ["evt.door.*.*".to_owned()];
    let mut feed = Feed::open(&system.nats, &filters, 0).await.unwrap();
    assert_eq!(read(&mut feed, 10).await.unwrap(), wanted);
    let more = timeout(Duration::from_millis(200), feed.next()).await;
    assert!(more.is_err(), "{more:?}");
    let one = publish(&system, "door", 1, 10).await.unwrap();
    let entry = feed.next().await;
    assert_eq!((entry.sequence, entry.pending), (one[0], 0));
    let heard = entry.heard().unwrap();
    assert_eq!((heard.id.as_str(), heard.state.get()), ("L-10", r#"{"n":10}"#));
}

#[tokio::test]
async fn a_reader_that_goes_leaves_nothing_on_the_server() {
    let system = System::bare().await.unwrap();
    publish(&system, "lamp", 10, 0).await.unwrap();
    let mut feed = Feed::open(&system.nats, &[], 0).await.unwrap();
    read(&mut feed, 5).await.unwrap();
    drop(feed);
    until("its consumer is gone", async || {
        let mut stream = system.js.get_stream("EVENTS").await?;
        Ok((stream.info().await?.state.consumer_count == 0).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn it_survives_its_consumer_and_its_server() {
    let mut system = System::bare().await.unwrap();
    let mut sequences = publish(&system, "lamp", 2_000, 0).await.unwrap();
    let mut feed = Feed::open(&system.nats, &[], 0).await.unwrap();
    let mut seen = read(&mut feed, 1_500).await.unwrap();

    let stream = system.js.get_stream("EVENTS").await.unwrap();
    let names: Vec<String> = futures_util::TryStreamExt::try_collect(stream.consumer_names())
        .await
        .unwrap();
    assert_eq!(names.len(), 1, "{names:?}");
    stream.delete_consumer(&names[0]).await.unwrap();
    seen.extend(read(&mut feed, 500).await.unwrap());

    system.server.kill_and_restart().await.unwrap();
    sequences.extend(publish(&system, "lamp", 2_000, 2_000).await.unwrap());
    seen.extend(read(&mut feed, 2_000).await.unwrap());
    sequences.sort_unstable();
    assert_eq!(seen, sequences);
    assert_eq!(JournalInfo::read(&system.nats).await.unwrap().last, 4_000);
}
