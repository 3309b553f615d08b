//! What somebody could do to a system with a plain NATS client and an editor.

use std::{fs, path::Path};

use async_nats::HeaderMap;
use async_nats::jetstream::stream;
use jetsaga::{
    anyhow::{self, Context as _},
    subject::KV_STATE,
};
use jetsaga_tests::harness::System;
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
