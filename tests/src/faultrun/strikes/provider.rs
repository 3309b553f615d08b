use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tokio::time::sleep;

use crate::faultrun::{fleet::Fleet, kind::Kind, nemesis::Done, persist::persist, schedule::Fault};

/// How long the provider may take to listen.
const LISTENS: Duration = Duration::from_secs(15);

/// Kills the provider, and starts it again with its ledger.
pub(super) async fn down(fleet: &Fleet, lasts: Duration) -> Result<Done> {
    let mut seat = fleet.provider.take().await;
    fleet.provider.kill(&mut seat).await?;
    sleep(lasts).await;
    fleet.provider.start(&mut seat)?;
    drop(seat);
    persist("the provider listens", LISTENS, || fleet.ledger(u64::MAX)).await?;
    Ok(Done::default())
}

/// Has the provider be slow, fail, or lose its answers for a while.
pub(super) async fn failing(fleet: &Fleet, fault: &Fault) -> Result<Done> {
    let change = match fault.kind {
        Kind::ProviderSlow => json!({"delay_ms": 2000}),
        Kind::ProviderFailing => json!({"error_rate": 0.2}),
        _ => json!({"lost_answer_rate": 0.05}),
    };
    persist("the provider is told", LISTENS, || fleet.failures(&change)).await?;
    sleep(fault.lasts).await;
    let healthy = json!({"delay_ms": 0, "error_rate": 0, "lost_answer_rate": 0});
    persist("the provider is healed", LISTENS, || fleet.failures(&healthy)).await?;
    Ok(Done::default())
}
