//! What should be on the server: made once, compared for ever, never made anew.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{PullConsumer, pull},
    stream::Republish,
};
use futures_util::StreamExt as _;
use jetsaga::{
    Difference, Topology,
    anyhow::{self, Context as _},
};
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

/// Does to two streams what an operator might.
async fn change_streams(system: &System, topology: &Topology) -> anyhow::Result<()> {
    for stream in &topology.streams {
        let mut changed = stream.clone();
        match stream.name.as_str() {
            "EVENTS" => {
                changed.max_age = Duration::from_secs(3600);
                changed.republish = Some(Republish {
                    source: "evt.>".to_owned(),
                    destination: "copy.>".to_owned(),
                    headers_only: false,
                });
            }
            "LETTERS" => {
                changed.max_messages = 100;
                changed.subjects.push("more.>".to_owned());
                changed.allow_rollup = true;
            }
            _ => continue,
        }
        system.js.update_stream(changed).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_changed_stream_is_reported_setting_by_setting() {
    let (system, topology) = whole().await.unwrap();
    change_streams(&system, &topology).await.unwrap();
    let differences = differences(&system).await.unwrap();
    let name = |d: &Difference| format!("{} {}", d.what, d.setting.as_deref().unwrap_or("?"));
    let mut names: Vec<_> = differences.iter().map(name).collect();
    names.sort_unstable();
    let all = [
        "stream EVENTS max_age",
        "stream EVENTS republish",
        "stream LETTERS allow_rollup_hdrs",
        "stream LETTERS max_msgs",
        "stream LETTERS subjects",
    ];
    assert_eq!(names, all);
    let words: Vec<_> = differences.iter().map(ToString::to_string).collect();
    let limit = "stream LETTERS: max_msgs is 100, wanted \"unlimited\"".to_owned();
    assert!(words.contains(&limit), "{words:?}");
}

/// Handles one message as the payment worker, and narrows its consumer. Returns what it had acknowledged.
async fn narrow(system: &System, topology: &Topology) -> anyhow::Result<u64> {
    let consumer = payment(system).await?;
    let mut messages = consumer.fetch().max_messages(1).messages().await?;
    let message = messages
        .next()
        .await
        .transpose()
        .map_err(anyhow::Error::from_boxed)?;
    let message = message.context("nothing was delivered")?;
    message.double_ack().await.map_err(anyhow::Error::from_boxed)?;
    let sequence = message.info().map_err(anyhow::Error::from_boxed)?.stream_sequence;

    let is_it = |c: &pull::Config| c.durable_name.as_deref() == Some("checkout-payment");
    let mut all = topology.consumers.iter();
    let wanted = all.find(|(on, config)| *on == "EVENTS" && is_it(config));
    let changed = pull::Config {
        filter_subjects: vec!["evt.checkout.OrderCreated.*".to_owned()],
        inactive_threshold: Duration::from_secs(3600),
        max_ack_pending: 10,
        ..wanted.context("there is no such consumer")?.1.clone()
    };
    system
        .js
        .get_stream("EVENTS")
        .await?
        .update_consumer(changed)
        .await?;
    Ok(sequence)
}

#[tokio::test]
async fn a_changed_consumer_is_reported_and_left_as_it_is() {
    let (system, topology) = whole().await.unwrap();
    let _order = system.start(Role::Order).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    system.until("ORD-1", "let in", |_| true).await.unwrap();
    let acknowledged = narrow(&system, &topology).await.unwrap();
    let before = payment(&system).await.unwrap().cached_info().clone();

    let (created, differ) = topology.ensure(&system.nats).await.unwrap();
    assert!(created.is_empty(), "{created:?}");
    let setting = |d: &Difference| (d.what.clone(), d.setting.clone().unwrap_or_default());
    let mut settings: Vec<_> = differ.iter().map(setting).collect();
    settings.sort_unstable();
    let all = ["filter_subjects", "inactive_threshold", "max_ack_pending"];
    let what = "consumer checkout-payment on EVENTS";
    assert_eq!(settings, all.map(|setting| (what.to_owned(), setting.to_owned())));
    let after = payment(&system).await.unwrap().cached_info().clone();
    assert_eq!((after.created, after.config), (before.created, before.config));
    assert_eq!(after.ack_floor.stream_sequence, acknowledged);
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
