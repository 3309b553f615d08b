//! The same JetStream operations without the engine: what the machine and the protocol cost by themselves.
//!
//! Same processes, one connection each, the same consumers pulled with the same settings, guarded publishes of bodies
//! as large as the engine's, a read after every conflict, and acknowledgements. No JSON: what stands for the state
//! are the first four bytes of a body, and every body is built before the first message comes.

mod book;
mod worker;

use std::{ffi::OsString, process::ExitCode, time::Duration};

use anyhow::Context as _;
use jetsaga::Nats;
use tokio::time::{Instant, sleep};

pub(super) use self::book::Book;
use self::worker::Worker;
use super::{counts::Counts, site::Role};

/// Runs one bare worker as this process, until it is killed.
pub(super) fn run(role: Role, mut line: impl Iterator<Item = OsString>) -> ExitCode {
    let url = line.by_ref().skip_while(|word| word != "--nats-url").nth(1);
    let url = url.and_then(|url| url.into_string().ok()).unwrap_or_default();
    let run = || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async { Worker::connect(role, &url).await?.run().await })
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Waits until this worker answers, at most ten seconds.
pub(super) async fn ready(nats: &Nats, role: Role) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if counts(nats, role).await.is_ok() {
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("bare worker {} is not ready after ten seconds", role.word())
}

/// What this worker has done since it began.
pub(super) async fn counts(nats: &Nats, role: Role) -> anyhow::Result<Counts> {
    let answer = nats.client.request(counts_of(role), "".into()).await;
    let answer = answer.with_context(|| format!("bare worker {} does not answer", role.word()))?;
    Ok(serde_json::from_slice(&answer.payload)?)
}

/// Where a worker is asked for its counters.
fn counts_of(role: Role) -> String {
    format!("bench.counts.{}", role.word())
}
