//! What should be on the server: made once, compared for ever, never made anew.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{PullConsumer, pull},
    stream::Republish,
};
use jetsaga::{Difference, Topology, anyhow};
use jetsaga_cli::system_topology;
use jetsaga_tests::harness::{Role, System, order};

/// What differs from what the checkout should have.
async fn differences(system: &System) -> anyhow::Result<Vec<Difference>> {
    Ok(system_topology(&system.nats, 1).await?.diff(&system.nats).await?)
}

/// A system with everything on it.
async fn whole() -> anyhow::Result<(System, Topology)> {
    let system = System::bare().await?;
    let topology = system_topology(&system.nats, 1).await?;
    topology.ensure(&system.nats).await?;
    Ok((system, topology))
}

async fn payment(system: &System) -> anyhow::Result<PullConsumer> {
    let consumer = system
        .js
        .get_consumer_from_stream("checkout-payment", "EVENTS")
        .await?;
    Ok(consumer)
}

#[tokio::test]
async fn what_is_missing_is_made_once_and_the_second_time_changes_nothing() {
    let system = System::bare().await.unwrap();
    let topology = system_topology(&system.nats, 1).await.unwrap();
    let missing = topology.diff(&system.nats).await.unwrap();
    assert_eq!(
        missing.len(),
        topology.consumers.len(),
        "the streams are there already"
    );
    assert!(
        missing.iter().all(|difference| difference.setting.is_none()),
        "{missing:?}"
    );
    assert_eq!(missing[0].to_string(), format!("{} is missing", missing[0].what));

    let (created, differ) = topology.ensure(&system.nats).await.unwrap();
    assert_eq!(
        (created.len(), differ.len()),
        (topology.consumers.len(), 0),
        "{differ:?}"
    );
    let before = payment(&system).await.unwrap().cached_info().created;
    assert_eq!(
        topology.ensure(&system.nats).await.unwrap(),
        (Vec::new(), Vec::new())
    );
    assert_eq!(differences(&system).await.unwrap(), []);
    assert_eq!(payment(&system).await.unwrap().cached_info().created, before);
}

#[tokio::test]
async fn a_changed_stream_is_reported_setting_by_setting() {
    let (system, topology) = whole().await.unwrap();
    let config = |name: &str| {
        topology
            .streams
            .iter()
            .find(|stream| stream.name == name)
            .unwrap()
            .clone()
    };
    let mut events = config("EVENTS");
    events.max_age = Duration::from_secs(3600);
    events.republish = Some(Republish {
        source: "evt.>".to_owned(),
        destination: "copy.>".to_owned(),
        headers_only: false,
    });
    system.js.update_stream(events).await.unwrap();
    let mut letters = config("LETTERS");
    letters.max_messages = 100;
    letters.subjects.push("more.>".to_owned());
    letters.allow_rollup = true;
    system.js.update_stream(letters).await.unwrap();

    let differences = differences(&system).await.unwrap();
    let mut names: Vec<_> = differences
        .iter()
        .map(|d| (d.what.as_str(), d.setting.as_deref().unwrap()))
        .collect();
    names.sort_unstable();
    let all = [
        ("stream EVENTS", "max_age"),
        ("stream EVENTS", "republish"),
        ("stream LETTERS", "allow_rollup_hdrs"),
        ("stream LETTERS", "max_msgs"),
        ("stream LETTERS", "subjects"),
    ];
    assert_eq!(names, all);
    let limit = differences
        .iter()
        .find(|d| d.setting.as_deref() == Some("max_msgs"))
        .unwrap();
    assert_eq!(
        limit.to_string(),
        "stream LETTERS: max_msgs is 100, wanted \"unlimited\""
    );
}

#[tokio::test]
async fn a_changed_consumer_is_reported_and_left_as_it_is() {
    let (system, topology) = whole().await.unwrap();
    let _order = system.start(Role::Order).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    system.until("ORD-1", "let in", |_| true).await.unwrap();
    let consumer = payment(&system).await.unwrap();
    let mut messages = consumer.fetch().max_messages(1).messages().await.unwrap();
    let message = futures_util::StreamExt::next(&mut messages)
        .await
        .unwrap()
        .unwrap();
    message.double_ack().await.unwrap();

    let stream = system.js.get_stream("EVENTS").await.unwrap();
    let name = consumer.cached_info().name.as_str();
    let mut all = topology.consumers.iter();
    let wanted = all
        .find(|(on, c)| *on == "EVENTS" && c.durable_name.as_deref() == Some(name))
        .unwrap();
    let changed = pull::Config {
        filter_subjects: vec!["evt.checkout.OrderCreated.*".to_owned()],
        inactive_threshold: Duration::from_secs(3600),
        max_ack_pending: 10,
        ..wanted.1.clone()
    };
    stream.update_consumer(changed).await.unwrap();
    let before = payment(&system).await.unwrap().cached_info().clone();

    let (created, differ) = topology.ensure(&system.nats).await.unwrap();
    assert!(created.is_empty(), "{created:?}");
    let mut settings: Vec<_> = differ.iter().map(|d| d.setting.as_deref().unwrap()).collect();
    settings.sort_unstable();
    assert_eq!(
        settings,
        ["filter_subjects", "inactive_threshold", "max_ack_pending"]
    );
    assert!(
        differ
            .iter()
            .all(|d| d.what == "consumer checkout-payment on EVENTS"),
        "{differ:?}"
    );
    let after = payment(&system).await.unwrap().cached_info().clone();
    assert_eq!((after.created, after.config), (before.created, before.config));
    assert_eq!(
        after.ack_floor.stream_sequence,
        message.info().unwrap().stream_sequence
    );
}

#[tokio::test]
async fn a_deleted_consumer_is_missing_and_made_again() {
    let (system, topology) = whole().await.unwrap();
    let stream = system.js.get_stream("RETRY").await.unwrap();
    stream.delete_consumer("checkout-shipping").await.unwrap();
    let found: Vec<_> = differences(&system)
        .await
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(found, ["consumer checkout-shipping on RETRY is missing"]);
    let (created, differ) = topology.ensure(&system.nats).await.unwrap();
    assert_eq!(
        (created, differ),
        (vec!["consumer checkout-shipping on RETRY".to_owned()], Vec::new())
    );
    assert_eq!(differences(&system).await.unwrap(), []);
}

#[tokio::test]
async fn nobody_deletes_from_the_journal_or_steers_it_by_headers() {
    let (system, _) = whole().await.unwrap();
    system.publish("evt.test.Happened.ONE", "{}").await.unwrap();
    for name in ["EVENTS", "KV_STATE"] {
        let stream = system.js.get_stream(name).await.unwrap();
        assert!(stream.purge().await.is_err(), "{name} can be purged");
        assert!(
            stream.delete_message(1).await.is_err(),
            "{name} can be deleted from"
        );
    }
    for (name, value) in [
        ("Nats-Rollup", "all"),
        ("Nats-TTL", "1s"),
        ("Nats-Schedule", "@at 2030-01-01T00:00:00Z"),
        ("Nats-Incr", "1"),
    ] {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(name, value);
        headers.insert("Nats-Schedule-Target", "evt.test.Forged.ONE");
        let answer = system.publish_with("evt.test.Happened.TWO", headers, "{}").await;
        assert!(answer.is_err(), "{name} is taken");
    }
    assert_eq!(system.journal_end().await.unwrap(), 1);
}
