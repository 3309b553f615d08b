use std::time::Duration;

use anyhow::{Context as _, Result};
use jetsaga_cli::record::bucket_at;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::site::Site;

/// How long everything may take to come to rest once all is healed.
pub(super) const DRAINED: Duration = Duration::from_secs(60);
/// How long it is watched beyond that, to say how long it would have taken.
pub(super) const WATCHED: Duration = Duration::from_secs(120);

/// The streams whose consumers have to come to rest.
const STREAMS: [&str; 4] = ["EVENTS", "INBOX", "TIMERS", "RETRY"];

/// Waits until nothing is left to do: every durable consumer has acknowledged everything, nothing is scheduled to
/// come again, and the bucket has followed the journal. Returns how long that took, or after so long what is left.
pub(super) async fn at_rest(site: &Site, patience: Duration) -> Result<Duration, String> {
    let begun = Instant::now();
    loop {
        let left = match left(site).await {
            Ok(None) => return Ok(begun.elapsed()),
            Ok(Some(left)) => left,
            Err(error) => format!("{error:#}"),
        };
        if begun.elapsed() > patience {
            return Err(left);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// What is left to do, if anything is.
async fn left(site: &Site) -> Result<Option<String>> {
    for stream in STREAMS {
        for consumer in consumers(site, stream).await? {
            let name = consumer["name"].as_str().unwrap_or_default();
            let number = |field: &str| consumer[field].as_u64().unwrap_or(0);
            let (pending, unacknowledged) = (number("num_pending"), number("num_ack_pending"));
            let durable = consumer["config"]["durable_name"].is_string();
            if durable && pending + unacknowledged > 0 {
                return Ok(Some(format!(
                    "{name} on {stream} has {pending} to deliver and {unacknowledged} to acknowledge"
                )));
            }
        }
    }
    let filter = json!({"subjects_filter": "retry.>"});
    let retries = site.api("STREAM.INFO.RETRY", &filter).await?;
    if let Some(scheduled) = retries["state"]["subjects"]
        .as_object()
        .filter(|all| !all.is_empty())
    {
        let first = scheduled.keys().next().map(String::as_str).unwrap_or_default();
        return Ok(Some(format!(
            "{} retries are scheduled, such as {first}",
            scheduled.len()
        )));
    }
    let journal = site.api("STREAM.INFO.EVENTS", &Value::Null).await?;
    let last = journal["state"]["last_seq"]
        .as_u64()
        .context("EVENTS has no last sequence")?;
    let lag = last.saturating_sub(bucket_at(&site.js).await?);
    Ok((lag > 0).then(|| format!("the bucket is {lag} events behind")))
}

/// What every consumer of a stream says of itself.
async fn consumers(site: &Site, stream: &str) -> Result<Vec<Value>> {
    let page = site
        .api(&format!("CONSUMER.LIST.{stream}"), &json!({"offset": 0}))
        .await?;
    Ok(page["consumers"].as_array().cloned().unwrap_or_default())
}
