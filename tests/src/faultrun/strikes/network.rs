use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use crate::faultrun::{kind::Kind, nemesis::Done, proxy::Mode, schedule::Fault, slot::Slot};

/// What a fault does to a connection.
pub(super) fn mode(fault: &Fault) -> Mode {
    match fault.kind {
        Kind::WorkerHung => Mode::Hang,
        Kind::WorkerDelayed => Mode::Delay(Duration::from_millis(20 + fault.dice % 280)),
        _ => Mode::Cut,
    }
}

/// Breaks a worker's connection to NATS for a while.
pub(super) async fn link(worker: &Slot, mode: Mode, lasts: Duration) -> Result<Done> {
    let _mine = worker.link.lock().await;
    let proxy = worker.nats.as_ref();
    let proxy = proxy.with_context(|| format!("{} has no connection to NATS", worker.name))?;
    proxy.set(mode);
    sleep(lasts).await;
    proxy.set(Mode::Pass);
    Ok(Done::default())
}

/// Breaks a payment worker's connections to the provider for a while.
pub(super) async fn bank(worker: &Slot, fault: &Fault) -> Result<Done> {
    let proxy = worker.bank.as_ref();
    let proxy = proxy.with_context(|| format!("{} has no connection to the provider", worker.name))?;
    proxy.set(if fault.dice.is_multiple_of(2) {
        Mode::Cut
    } else {
        Mode::Hang
    });
    sleep(fault.lasts).await;
    proxy.set(Mode::Pass);
    Ok(Done::default())
}
