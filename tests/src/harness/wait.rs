use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// The time in which anything that a test waits for has happened.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until there is something to see, and returns it.
///
/// # Errors
/// When looking fails, or when nothing is seen within [`PATIENCE`]; the error then names `what`.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        if Instant::now() > deadline {
            bail!("{what}: not seen within {PATIENCE:?}");
        }
        sleep(Duration::from_millis(5)).await;
    }
}
