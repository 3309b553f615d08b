//! The tools as a person uses them, and a run to use them on.

use std::{path::Path, process::Output, time::Duration};

use jetsaga::anyhow;
use jetsaga_cli::record;
use jetsaga_tests::harness::{Running, System, order, order_with};
pub(crate) use jetsaga_tests::harness::{clean, fsck};
use serde_json::Value;
use tokio::process::Command;

/// Each violation in a line.
pub(crate) fn sentences(report: &Value) -> Vec<String> {
    let violations = report["violations"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |it: &Value| {
        let parts = [&it["invariant"], &it["entity"], &it["sentence"]];
        parts.map(text).join(" ")
    };
    violations.iter().map(line).collect()
}

pub(crate) async fn checker(folder: &Path) -> anyhow::Result<Output> {
    let checker = env!("CARGO_BIN_EXE_checker");
    Ok(Command::new(checker).arg(folder).output().await?)
}

/// Fifty orders of which some are refused at each step, all of them ended.
pub(crate) async fn fifty() -> anyhow::Result<(System, Vec<Running>)> {
    let (system, workers) = System::checkout().await?;
    for n in 0..50 {
        let id = format!("ORD-{n}");
        let event = match n % 10 {
            3 => order_with(&id, "/paymentMethod", "tok_decline"),
            5 => order_with(&id, "/shippingAddress/zip", "00000"),
            7 => order_with(&id, "/items/0/productId", "PROD-NONE"),
            _ => order(&id),
        };
        system.place(&event).await?;
    }
    record::until_rest(&system.nats, Duration::from_secs(30)).await?;
    Ok((system, workers))
}
