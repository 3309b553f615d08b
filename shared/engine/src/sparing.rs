use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// What is told at most once in ten seconds, however often it happens: a provider that is down fails every order.
#[derive(Debug, Default)]
pub(crate) struct Sparing(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    last: Option<Instant>,
    untold: u64,
}

const EVERY: Duration = Duration::from_secs(10);

impl Sparing {
    /// It happened. If it is to be told now: how often it happened untold since it was told last.
    pub(crate) fn happened(&self) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last.is_some_and(|last| last.elapsed() < EVERY) {
            told.untold += 1;
            return None;
        }
        told.last = Some(Instant::now());
        Some(std::mem::take(&mut told.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_is_told_and_those_soon_after_are_counted() {
        let sparing = Sparing::default();
        let told: Vec<_> = (0..3).map(|_| sparing.happened()).collect();
        assert_eq!(told, [Some(0), None, None]);
        tokio::time::advance(EVERY).await;
        assert_eq!((sparing.happened(), sparing.happened()), (Some(2), None));
    }
}
