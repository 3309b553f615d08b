use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{System, jetsaga};

/// What `jetsaga fsck` says: whether it exits with 0, and its report.
///
/// # Errors
/// When it says nothing.
pub async fn fsck<S>(system: &System<S>, flags: &[&str]) -> Result<(bool, Value)> {
    let mut command = jetsaga()?;
    command.args(["--json", "--nats-url", &system.url, "fsck"]);
    command.env("PAYMENT_PROVIDER_URL", &system.provider.url);
    let run = command.args(flags).output().await?;
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    let report = serde_json::from_slice(&run.stdout).with_context(|| said)?;
    Ok((run.status.success(), report))
}

/// The report of a system in which `jetsaga fsck` finds nothing wrong.
///
/// # Errors
/// When it does.
pub async fn clean<S>(system: &System<S>, flags: &[&str]) -> Result<Value> {
    let (fine, report) = fsck(system, flags).await?;
    ensure!(fine && report["violations"] == json!([]), "{report:#}");
    Ok(report)
}
