//! What somebody could do to a system with a plain NATS client and an editor.

use std::{fs, path::Path};

use async_nats::HeaderMap;
use async_nats::jetstream::stream;
use jetsaga::{
    anyhow::{self, Context as _},
    subject::{EVENTS, KV_STATE},
};
use jetsaga_tests::harness::{Cluster, System};
use serde_json::{Value, json};

/// Takes the first line with these words out of a file.
pub(crate) fn drop_line(file: &Path, words: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find(|line| line.contains(words));
    let line = line.with_context(|| format!("no line says {words}"))?;
    Ok(fs::write(file, text.replacen(&format!("{line}\n"), "", 1))?)
}

/// Replaces the bucket by one that anybody may write, with these keys in it.
pub(crate) async fn another_bucket(system: &System, content: &[(&str, &str)]) -> anyhow::Result<()> {
    system.js.delete_stream(KV_STATE).await?;
    let config = stream::Config {
        name: KV_STATE.to_owned(),
        subjects: vec!["$KV.STATE.>".to_owned()],
        allow_direct: true,
        max_messages_per_subject: 1,
        ..stream::Config::default()
    };
    system.js.create_stream(config).await?;
    for (key, body) in content {
        system.publish(&format!("$KV.STATE.{key}"), *body).await?;
    }
    Ok(())
}

/// Publishes an event of this type to an order without the right guard, made from its event of type `like`.
pub(crate) async fn forge(system: &System, what: &str, id: &str, like: &str) -> anyhow::Result<()> {
    let events = system.raw_events().await?;
    let subject = format!("evt.checkout.{like}.{id}");
    let event = events.iter().find(|event| event.subject == subject);
    let mut body: Value = serde_json::from_str(&event.context("no such event")?.body)?;
    body["eventType"] = json!(what);
    body["eventId"] = json!("00000000-0000-4000-8000-000000000000");
    system
        .publish_with(
            &format!("evt.checkout.{what}.{id}"),
            HeaderMap::new(),
            body.to_string(),
        )
        .await?;
    Ok(())
}

/// Takes away the consumer by which the server fills the bucket. The server misses it after ten seconds, and says
/// meanwhile that the bucket lags by nothing.
pub(crate) async fn stop_filling(system: &System<Cluster>) -> anyhow::Result<()> {
    let monitor = system.server.monitors()[0];
    let url = format!("http://{monitor}/jsz?accounts=true&consumers=true&config=true&direct-consumers=true");
    let said: Value = reqwest::get(url).await?.json().await?;
    let streams = said["account_details"][0]["stream_detail"].as_array();
    let mut streams = streams.context("no streams")?.iter();
    let events = streams
        .find(|stream| stream["name"] == EVENTS)
        .context("no EVENTS")?;
    let filling = events["direct_consumer_detail"][0]["name"].as_str();
    let filling = filling.context("nothing fills the bucket")?;
    system.js.delete_consumer_from_stream(filling, EVENTS).await?;
    Ok(())
}
