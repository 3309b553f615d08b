use std::{sync::Arc, time::Duration};

use anyhow::Result;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    asker::Asker,
    history::Outcome,
    orders::{Request, request},
};

/// Places orders at a steady rate until told to stop, then sends nothing more and waits for what was asked. Returns the
/// ids of the healthy ones.
///
/// # Errors
/// When an order cannot be made.
pub(super) async fn drive(
    asker: Arc<Asker>,
    seed: u64,
    rate: u32,
    mut stop: watch::Receiver<bool>,
) -> Result<Vec<String>> {
    let mut beat = interval(Duration::from_secs(1) / rate.max(1));
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut asked, mut healthy) = (JoinSet::new(), Vec::new());
    for n in 0.. {
        tokio::select! {
            _ = beat.tick() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        let request = request(seed, n)?;
        if request.healthy {
            healthy.push(request.first.order_id.clone());
        }
        asked.spawn(place(asker.clone(), request, stop.clone()));
        while asked.try_join_next().is_some() {}
    }
    while asked.join_next().await.is_some() {}
    Ok(healthy)
}

/// Sends an order and all that follows it, until `stop`.
async fn place(asker: Arc<Asker>, request: Request, stop: watch::Receiver<bool>) {
    let mut sent = JoinSet::new();
    for (pause, message) in request.later {
        let (asker, stop) = (asker.clone(), stop.clone());
        sent.spawn(async move {
            tokio::select! {
                () = sleep(pause) => drop(asker.ask(message).await),
                () = stopped(stop) => {}
            }
        });
    }
    if asker.ask(request.first).await == Outcome::Ok {
        for message in request.after_ok {
            asker.ask(message).await;
        }
    }
    while sent.join_next().await.is_some() {}
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await); // a dropped sender stops as well
}
