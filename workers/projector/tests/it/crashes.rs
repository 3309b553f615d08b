//! Whoever dies at whatever moment, each event is applied once.

use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use readmodel::projections;
use tokio::time::sleep;

use crate::harness::{Place, Site, on_both, until};

on_both!(
    runners_that_crash_apply_nothing_twice,
    fifty_killed_processes_apply_nothing_twice
);

async fn runners_that_crash_apply_nothing_twice(place: Place) -> Result<()> {
    let mut site = Site::new(place).await?;
    let mut rng = Rng::with_seed(11);
    let store = site.store().await?;
    for _ in 0..40 {
        let runner = site.runner().await?;
        let another = rng.bool().then_some(site.runner().await?);
        site.orders(rng.u64(1..8)).await?;
        sleep(Duration::from_micros(rng.u64(..20_000))).await;
        runner.crash().await;
        if let Some(another) = another {
            another.crash().await;
        }
    }
    let runner = site.runner().await?;
    site.caught_up(&store).await?;
    site.check(&store, projections()).await?;
    runner.stop().await
}

/// What the product promises, as it runs: SIGKILL at moments that the seed decides, while events come in.
async fn fifty_killed_processes_apply_nothing_twice(place: Place) -> Result<()> {
    let mut site = Site::new(place).await?;
    let mut rng = Rng::with_seed(23);
    let store = site.store().await?;
    let position = async || Ok::<_, anyhow::Error>(store.positions().await?.iter().map(|p| p.sequence).min());
    for _ in 0..50 {
        let before = position().await?;
        let mut projector = site.process()?;
        site.orders(rng.u64(5..40)).await?;
        let moved = until("a projector that works", async || {
            Ok((position().await? > before).then_some(()))
        });
        let moved = moved.await;
        let more = site.orders(rng.u64(1..20)).await;
        sleep(Duration::from_micros(rng.u64(..5_000))).await;
        projector.kill()?;
        projector.wait()?;
        moved?;
        more?;
    }
    let runner = site.runner().await?;
    site.caught_up(&store).await?;
    site.check(&store, projections()).await?;
    runner.stop().await
}
