use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{Instant, sleep};

/// Tries again until it is done, for as long as `limit`: while servers die, any one request may fail.
///
/// # Errors
/// The last one, after `limit`; it names `what`.
pub(super) async fn persist<T, F: Future<Output = Result<T>>>(
    what: &str,
    limit: Duration,
    mut attempt: impl FnMut() -> F,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) if Instant::now() > deadline => {
                return Err(error).with_context(|| format!("{what}: not within {limit:?}"));
            }
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}
