use std::time::Duration;

use jetsaga::Timestamp;
use serde::Serialize;

/// A healthy order: from its first publish to its final event, by the one clock of this machine.
#[derive(Clone, Debug)]
pub(super) struct Trip {
    pub(super) id: String,
    pub(super) asked: Timestamp,
    pub(super) ended: Timestamp,
}

/// Some time of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// How long healthy orders took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// How many there were.
    pub orders: usize,
    /// Half of them took no longer.
    pub p50: u64,
    /// Nineteen in twenty took no longer.
    pub p95: u64,
    /// Ninety-nine in a hundred took no longer.
    pub p99: u64,
    /// None took longer.
    pub worst: u64,
}

impl Trip {
    pub(super) fn took(&self) -> Duration {
        self.ended.since(self.asked)
    }

    /// True if it was under way at any time of the window.
    pub(super) fn overlaps(&self, window: Window) -> bool {
        self.asked < window.until && window.from < self.ended
    }

    /// How long it took outside of all of these windows, which are sorted by their beginnings.
    pub(super) fn outside(&self, windows: &[Window]) -> Duration {
        let (mut waited, mut at) = (Duration::ZERO, self.asked);
        for window in windows {
            if window.from >= self.ended {
                break;
            }
            waited += window.from.since(at);
            at = at.max(window.until.min(self.ended));
        }
        waited + self.ended.since(at)
    }
}

impl Latency {
    /// What these took.
    pub(super) fn of<'a>(trips: impl Iterator<Item = &'a Trip>) -> Self {
        let mut took: Vec<u64> = trips
            .map(|trip| u64::try_from(trip.took().as_millis()).unwrap_or(u64::MAX))
            .collect();
        took.sort_unstable();
        let at = |share: usize| {
            let place = (took.len() * share / 100).min(took.len().saturating_sub(1));
            took.get(place).copied().unwrap_or(0)
        };
        Self {
            orders: took.len(),
            p50: at(50),
            p95: at(95),
            p99: at(99),
            worst: took.last().copied().unwrap_or(0),
        }
    }
}

/// The longest time without an event after each of these moments, within 20 s of it; the longest of all.
pub(super) fn longest_pause(beats: &[Timestamp], moments: &[Timestamp]) -> Duration {
    let mut longest = Duration::ZERO;
    for moment in moments {
        let end = moment.after(Duration::from_secs(20));
        let first = beats.partition_point(|beat| beat < moment);
        let mut before = *moment;
        for beat in beats
            .get(first..)
            .unwrap_or_default()
            .iter()
            .take_while(|beat| **beat < end)
        {
            longest = longest.max(beat.since(before));
            before = *beat;
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(seconds))
    }

    fn window(from: u64, until: u64) -> Window {
        Window {
            from: at(from),
            until: at(until),
        }
    }

    #[test]
    fn waiting_counts_only_outside_of_the_windows() {
        let trip = Trip {
            id: String::new(),
            asked: at(10),
            ended: at(100),
        };
        for (windows, seconds) in [
            (vec![], 90),
            (vec![window(0, 20)], 80),
            (vec![window(0, 200)], 0),
            (vec![window(20, 30), window(25, 50)], 60),
            (vec![window(20, 60), window(30, 40), window(90, 120)], 40),
            (vec![window(200, 300)], 90),
        ] {
            assert_eq!(
                trip.outside(&windows),
                Duration::from_secs(seconds),
                "{windows:?}"
            );
        }
    }

    #[test]
    fn a_pause_begins_at_the_kill() {
        let beats = [at(1), at(2), at(9), at(10)];
        assert_eq!(longest_pause(&beats, &[at(3)]), Duration::from_secs(6));
        assert_eq!(longest_pause(&beats, &[]), Duration::ZERO);
    }
}
