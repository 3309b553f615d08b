//! The payment provider as a process: configuration from flags and `PROVIDER_*`
//! variables, logs on standard error, a clean stop on SIGTERM or ctrl-c.

use clap::Parser;
use provider::{Args, run, start_logs};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    start_logs();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    run(args, async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM"),
            _ = interrupt.recv() => tracing::info!("interrupted"),
        }
    })
    .await
}
