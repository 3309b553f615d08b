use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::processes::note;
use crate::faultrun::{nemesis::Done, persist::persist, site::Site};

/// How long a change of the configuration may take.
const CHANGE: Duration = Duration::from_secs(60);
/// How long a consumer may take to hear everything anew.
const REPLAYED: Duration = Duration::from_secs(120);
/// A consumer with less than this before it has caught up.
const CAUGHT_UP: u64 = 50;

/// The journal takes nothing more for a while: its limit is what it holds.
pub(super) async fn full(site: &Site, lasts: Duration) -> Result<Done> {
    let info = persist("the journal is there", CHANGE, || async {
        site.api("STREAM.INFO.EVENTS", &Value::Null).await
    });
    let info = info.await?;
    let (whole, mut limited) = (info["config"].clone(), info["config"].clone());
    limited["max_bytes"] = info["state"]["bytes"].clone();
    persist("the journal is full", CHANGE, || {
        site.api("STREAM.UPDATE.EVENTS", &limited)
    })
    .await?;
    sleep(lasts).await;
    persist("the journal has room", CHANGE, || {
        site.api("STREAM.UPDATE.EVENTS", &whole)
    })
    .await?;
    Ok(Done::default())
}

/// A step hears everything anew, by a durable consumer with the same name and the same configuration.
pub(super) async fn replay(site: &Site, name: &str) -> Result<Done> {
    let config = persist("the consumer is there", CHANGE, || async {
        let info = site
            .api(&format!("CONSUMER.INFO.EVENTS.{name}"), &Value::Null)
            .await?;
        Ok(info["config"].clone())
    });
    let create = json!({"stream_name": "EVENTS", "config": config.await?});
    // A lost answer leaves open whether it is gone: creating it tells, for a consumer that is there stays as it is.
    persist("the consumer is gone", CHANGE, || async {
        let gone = site
            .api(&format!("CONSUMER.DELETE.EVENTS.{name}"), &Value::Null)
            .await;
        match gone {
            Err(error) if !error.to_string().contains("not found") => Err(error),
            _ => Ok(()),
        }
    })
    .await?;
    let begun = Instant::now();
    persist("the consumer is made anew", CHANGE, || async {
        site.api(&format!("CONSUMER.DURABLE.CREATE.EVENTS.{name}"), &create)
            .await
    })
    .await?;
    let behind = persist("the consumer has heard everything", REPLAYED, || async {
        let info = site
            .api(&format!("CONSUMER.INFO.EVENTS.{name}"), &Value::Null)
            .await?;
        let heard = info["delivered"]["consumer_seq"].as_u64().unwrap_or(0);
        let pending = info["num_pending"].as_u64().context("no num_pending")?;
        anyhow::ensure!(pending < CAUGHT_UP && heard > 0, "{pending} are still before it");
        Ok(heard)
    });
    let heard = behind.await?;
    Ok(note(&format!(
        "{heard} messages in {} ms",
        begun.elapsed().as_millis()
    )))
}
