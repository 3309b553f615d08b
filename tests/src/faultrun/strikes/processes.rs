use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use crate::faultrun::{
    fleet::{DRAIN_LIMIT, Fleet},
    nemesis::Done,
    slot::Slot,
};

/// Kills a worker, and starts it again after a pause.
pub(super) async fn killed(worker: &Slot, lasts: Duration) -> Result<Done> {
    let mut seat = worker.take().await;
    worker.kill(&mut seat).await?;
    sleep(lasts).await;
    worker.start(&mut seat)?;
    Ok(Done::default())
}

/// Stops a worker in the middle of whatever it does, and lets it go on when others have long taken over.
pub(super) async fn frozen(worker: &Slot, lasts: Duration) -> Result<Done> {
    let seat = worker.take().await;
    if worker.signal(&seat, "-STOP").await.is_err() {
        return Ok(note("it had ended by itself"));
    }
    sleep(lasts).await;
    worker.signal(&seat, "-CONT").await?;
    Ok(Done::default())
}

/// Tells every worker in turn to stop, with its connections whole, and starts it again once it has ended.
pub(super) async fn rolling_restart(fleet: &Fleet) -> Result<Done> {
    let mut done = Done::default();
    let mut longest = Duration::ZERO;
    for worker in &fleet.workers {
        let _whole = worker.link.lock().await;
        let mut seat = worker.take().await;
        match worker.drain(&mut seat, DRAIN_LIMIT).await {
            Ok(took) => longest = longest.max(took),
            Err(error) => done.violation = Some(format!("{error:#}")),
        }
        worker.start(&mut seat)?;
        drop(seat);
        sleep(Duration::from_millis(500)).await; // until it works; others take what comes meanwhile
    }
    done.note = Some(format!("the longest drain took {} ms", longest.as_millis()));
    Ok(done)
}

pub(super) fn note(text: &str) -> Done {
    Done {
        note: Some(text.to_owned()),
        ..Done::default()
    }
}
