use std::{any::Any, future::Future, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use tokio::time::timeout;

use crate::setback::Setback;

/// What `work` comes to, within `limit`. A panic, and no answer in time, are failures like any other: they count as
/// attempts, and whoever asked goes on.
pub(crate) async fn bounded<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Setback>>,
) -> Result<T, Setback> {
    match timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(panic)) => Err(Setback::Effect(panicked(&*panic))),
        Err(_) => Err(Setback::Effect(anyhow::anyhow!("not finished within {limit:?}"))),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> anyhow::Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    anyhow::anyhow!("the handler panicked: {}", text.unwrap_or("without a word"))
}
