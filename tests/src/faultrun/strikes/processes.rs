use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use crate::faultrun::{
    fleet::{DRAIN_LIMIT, Fleet},
    nemesis::Done,
    slot::{Seat, Slot},
};

/// How long a worker may take to start.
const STARTED: Duration = Duration::from_secs(10);

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

/// Tells every worker in turn to stop, with its connections whole, starts it again once it has ended, and goes on once
/// it works.
pub(super) async fn rolling_restart(fleet: &Fleet) -> Result<Done> {
    let mut done = Done::default();
    let mut longest = Duration::ZERO;
    for worker in &fleet.workers {
        let _whole = worker.link.lock().await;
        let mut seat = worker.take().await;
        if !works(worker, &seat).await {
            continue; // it ended by itself at its start, for the servers are away; it is started again
        }
        match worker.drain(&mut seat, DRAIN_LIMIT).await {
            Ok(took) => longest = longest.max(took),
            Err(error) => done.violation = Some(format!("{error:#}")),
        }
        worker.start(&mut seat)?;
        works(worker, &seat).await;
    }
    done.note = Some(format!("the longest drain took {} ms", longest.as_millis()));
    Ok(done)
}

/// Waits until a worker works; false if it does not within ten seconds.
async fn works(worker: &Slot, seat: &Seat) -> bool {
    let deadline = Instant::now() + STARTED;
    while !worker.works(seat) {
        if Instant::now() > deadline {
            return false;
        }
        sleep(Duration::from_millis(50)).await;
    }
    true
}

pub(super) fn note(text: &str) -> Done {
    Done {
        note: Some(text.to_owned()),
        ..Done::default()
    }
}
