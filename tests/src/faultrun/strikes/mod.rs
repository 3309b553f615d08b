//! How each fault is done and healed.

mod messages;
mod network;
mod processes;
mod provider;
mod servers;
mod streams;

use std::sync::Arc;

use anyhow::Result;

use super::{asker::Asker, kind::Kind, nemesis::Done, schedule::Fault, site::Site, target::Target};

/// Does a fault and heals it. When this returns, nothing of it is left but what the system makes of it.
///
/// # Errors
/// When it cannot be done or healed.
pub(super) async fn carry_out(site: &Arc<Site>, asker: &Arc<Asker>, fault: &Fault) -> Result<Done> {
    let worker = match fault.target {
        Target::Worker(n) | Target::Both(n) => site.fleet.workers.get(n),
        _ => None,
    };
    match (fault.kind, worker, fault.target) {
        (Kind::WorkerKilled, Some(worker), _) => processes::killed(worker, fault.lasts).await,
        (Kind::WorkerFrozen, Some(worker), _) => processes::frozen(worker, fault.lasts).await,
        (Kind::RollingRestart, ..) => processes::rolling_restart(&site.fleet).await,
        (Kind::Together, Some(worker), _) => servers::together(site, worker, fault.lasts).await,
        (Kind::NodeKilled, _, target) => servers::killed(site, target, fault.lasts).await,
        (Kind::StreamStepDown, _, Target::Stream(name)) => servers::stream_steps_down(site, name).await,
        (Kind::ConsumerStepDown, _, Target::Consumer(name)) => servers::consumer_steps_down(site, name).await,
        (Kind::DiskFull, ..) => streams::full(site, fault.lasts).await,
        (Kind::Replay, _, Target::Consumer(name)) => streams::replay(site, name).await,
        (Kind::WorkerCutOff | Kind::WorkerHung | Kind::WorkerDelayed, Some(worker), _) => {
            network::link(worker, network::mode(fault), fault.lasts).await
        }
        (Kind::BankCutOff, Some(worker), _) => network::bank(worker, fault).await,
        (Kind::ProviderDown, ..) => provider::down(&site.fleet, fault.lasts).await,
        (Kind::ProviderSlow | Kind::ProviderFailing | Kind::AnswersLost, ..) => {
            provider::failing(&site.fleet, fault).await
        }
        (Kind::CorruptMessages, ..) => messages::corrupt(asker, fault).await,
        (Kind::OversizedMessages, ..) => messages::oversized(asker, fault).await,
        (Kind::PoisonBurst, ..) => messages::burst(asker, fault).await,
        (Kind::Crowd, ..) => messages::crowd(asker, fault).await,
        (Kind::CorruptEvents, ..) => messages::corrupt_events(site, fault).await,
        (kind, _, target) => anyhow::bail!("{kind} cannot be done to {target}"),
    }
}
