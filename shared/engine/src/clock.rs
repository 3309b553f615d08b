//! The two things that a pure function cannot have: the time and chance.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use saga::Timestamp;

/// What time it is, by this machine. For the timestamps of events; nothing is decided by it.
pub fn now() -> Timestamp {
    #[cfg(feature = "testing")]
    if let Some(now) = crate::faults::now() {
        return now;
    }
    time::OffsetDateTime::now_utc().into()
}

/// A random number, good enough to spread retries.
pub(crate) fn dice() -> u32 {
    #[cfg(feature = "testing")]
    if let Some(dice) = crate::faults::dice() {
        return dice;
    }
    // RandomState is seeded anew for every value; only the upper half is kept.
    (RandomState::new().build_hasher().finish() >> 32) as u32
}
