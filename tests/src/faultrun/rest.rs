use std::time::Duration;

use anyhow::{Context as _, Result};
use jetsaga_cli::record::{Rest, bucket_at};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::site::Site;

/// How long everything may take to come to rest once all is healed.
pub(super) const DRAINED: Duration = Duration::from_secs(60);
/// How long it is watched beyond that, to say how long it would have taken.
pub(super) const WATCHED: Duration = Duration::from_secs(120);

/// Waits until nothing is left to do: every durable consumer has acknowledged everything, nothing is scheduled to
/// come again, and the bucket has followed the journal. Returns how long that took, or after so long what is left.
pub(super) async fn at_rest(site: &Site, patience: Duration) -> Result<Duration, String> {
    let (begun, mut rest) = (Instant::now(), Rest::default());
    loop {
        let left = match left(site, &mut rest).await {
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
async fn left(site: &Site, rest: &mut Rest) -> Result<Option<String>> {
    if let Some(left) = rest.left(&site.js).await? {
        return Ok(Some(left));
    }
    let journal = site.api("STREAM.INFO.EVENTS", &Value::Null).await?;
    let last = journal["state"]["last_seq"]
        .as_u64()
        .context("EVENTS has no last sequence")?;
    let lag = last.saturating_sub(bucket_at(&site.js).await?);
    Ok((lag > 0).then(|| format!("the bucket is {lag} events behind")))
}
