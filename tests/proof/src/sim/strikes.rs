use std::{sync::Arc, time::Duration};

use engine::now;
use tokio::time::{sleep, sleep_until};

use super::{Crew, Fault, memory::instant};

/// Lets the faults strike that come by themselves.
pub(super) async fn strike(crew: Crew) {
    let memory = crew.memory();
    loop {
        let next = memory.mishaps().next_timed();
        let Some((time, fault)) = next else { return };
        sleep_until(instant(time)).await;
        let size = crew.size() as u64;
        let place = usize::try_from(memory.throw(|dice| dice.below(size))).unwrap_or(0);
        let pause = |low, high| memory.throw(|dice| dice.millis(low, high));
        match fault {
            Fault::Crash => crew.crash(place),
            Fault::Zombie => crew.freeze(place, pause(10_500, 40_000)),
            Fault::CutOff => crew.cut_off(place, pause(200, 20_000)),
            Fault::Forgotten => {
                let all = memory.server().consumers();
                let some: Vec<usize> = (0..all)
                    .filter(|_| memory.throw(|dice| dice.happens(600)))
                    .collect();
                let forgot = some
                    .iter()
                    .filter(|at| memory.server().forget(**at, now()))
                    .count();
                memory.story().note("server", || {
                    format!("{forgot} consumers forget what they handed out")
                });
                if forgot == 0 {
                    continue;
                }
                memory.touch();
            }
            _ => {
                let most = if pause(0, 3).is_zero() { 480_000 } else { 30_000 };
                crew.provider().go_down(pause(500, most));
            }
        }
        memory.mishaps().tally.fault(fault);
    }
}

impl Crew {
    /// A worker dies, wherever it is, and another takes its place after a while.
    pub fn crash(&self, place: usize) {
        let pause = self.memory().throw(|dice| dice.millis(20, 5_000));
        let mut replicas = self.replicas();
        let Some(replica) = replicas.get_mut(place).filter(|it| !it.stations.is_empty()) else {
            return;
        };
        self.memory()
            .story()
            .note(replica.port.who(), || format!("dies, for {pause:?}"));
        replica.stations.clear();
        replica.work.abort_all();
        replica.work.detach_all();
        replica.frost = Arc::default();
        let crew = self.clone();
        tokio::spawn(async move {
            sleep(pause).await;
            let started = crew.start(place);
            debug_assert!(started.is_ok(), "it started before");
        });
    }

    /// A worker stands still for so long.
    pub fn freeze(&self, place: usize, pause: Duration) {
        if let Some(replica) = self.replicas().get(place) {
            self.memory()
                .story()
                .note(replica.port.who(), || format!("stands still for {pause:?}"));
            replica.frost.freeze(pause);
        }
    }

    /// Nothing comes through between a worker and the server for so long.
    pub fn cut_off(&self, place: usize, pause: Duration) {
        if let Some(replica) = self.replicas().get(place) {
            self.memory()
                .story()
                .note(replica.port.who(), || format!("is cut off for {pause:?}"));
            replica.port.cut_off(pause);
        }
    }
}
