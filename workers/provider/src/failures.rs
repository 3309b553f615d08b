use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::key::Key;
use crate::wish::Wish;

/// The longest delay before a commit, in milliseconds.
pub const MAX_DELAY_MS: u64 = 60_000;

/// What goes wrong by chance. Each rate is a probability from 0 to 1. Every draw
/// is a function of the seed, the key and (but for declines) the number of the
/// attempt under that key, so the same requests fail in the same way again.
///
/// Only charges and refunds fail; look-ups, settling and the ledger never do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Failures {
    /// Charges which are declined. By seed and key alone, because a decline is
    /// the one outcome of its key.
    pub decline_rate: f64,
    /// Attempts answered with a 500 before anything is done.
    pub error_rate: f64,
    /// How long a delayed attempt waits before its commit, in milliseconds; at
    /// most [`MAX_DELAY_MS`].
    pub delay_ms: u64,
    /// Attempts which are delayed by `delay_ms`.
    pub delay_rate: f64,
    /// Attempts whose connection is closed in place of an answer, after their
    /// outcome is in the ledger.
    pub lost_answer_rate: f64,
    /// What the draws start from.
    pub seed: u64,
}

/// A setting which cannot be: says its name, its value and what would be right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name} is {value}: expected {expected}")]
pub struct WrongSetting {
    name: &'static str,
    value: String,
    expected: &'static str,
}

/// A change of some settings; what is absent stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    decline_rate: Option<f64>,
    error_rate: Option<f64>,
    delay_ms: Option<u64>,
    delay_rate: Option<f64>,
    lost_answer_rate: Option<f64>,
    seed: Option<u64>,
}

/// What goes wrong with one attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plan {
    /// Answer a 500 and do nothing.
    pub(crate) fails: bool,
    /// Wait this long before the commit.
    pub(crate) delay: Duration,
    /// The card is declined.
    pub(crate) declines: bool,
    loses_this: bool,
    loses_first: bool,
}

#[derive(Clone, Copy)]
enum Draw {
    Decline,
    Error,
    Delay,
    LostAnswer,
}

impl Default for Failures {
    /// Nothing goes wrong. The delay rate is 1, so setting `delay_ms` alone
    /// delays every attempt.
    fn default() -> Self {
        Self {
            decline_rate: 0.0,
            error_rate: 0.0,
            delay_ms: 0,
            delay_rate: 1.0,
            lost_answer_rate: 0.0,
            seed: 0,
        }
    }
}

impl Failures {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first rate which is no probability, or a delay over [`MAX_DELAY_MS`].
    pub fn check(&self) -> Result<(), WrongSetting> {
        check_rate("decline_rate", self.decline_rate)?;
        check_rate("error_rate", self.error_rate)?;
        check_delay("delay_ms", self.delay_ms)?;
        check_rate("delay_rate", self.delay_rate)?;
        check_rate("lost_answer_rate", self.lost_answer_rate)
    }

    /// These settings with a change made.
    ///
    /// # Errors
    /// As [`Failures::check`].
    pub(crate) fn with(self, change: &Change) -> Result<Self, WrongSetting> {
        let changed = Self {
            decline_rate: change.decline_rate.unwrap_or(self.decline_rate),
            error_rate: change.error_rate.unwrap_or(self.error_rate),
            delay_ms: change.delay_ms.unwrap_or(self.delay_ms),
            delay_rate: change.delay_rate.unwrap_or(self.delay_rate),
            lost_answer_rate: change.lost_answer_rate.unwrap_or(self.lost_answer_rate),
            seed: change.seed.unwrap_or(self.seed),
        };
        changed.check().map(|()| changed)
    }

    /// What goes wrong with the `attempt`-th request under `key` (counted from 1),
    /// by chance or because it asked for it.
    pub(crate) fn plan(&self, key: &Key, attempt: u64, wish: &Wish) -> Plan {
        let drawn = |draw, attempt, rate| self.draw(draw, key, attempt) < rate;
        let by_chance = if drawn(Draw::Delay, attempt, self.delay_rate) {
            self.delay_ms
        } else {
            0
        };
        Plan {
            fails: drawn(Draw::Error, attempt, self.error_rate) || (wish.error_once && attempt == 1),
            delay: Duration::from_millis(wish.delay_ms.unwrap_or(by_chance)),
            declines: drawn(Draw::Decline, 0, self.decline_rate) || wish.decline,
            loses_this: drawn(Draw::LostAnswer, attempt, self.lost_answer_rate),
            loses_first: wish.lost_answer,
        }
    }

    /// A number from 0 (included) to 1 (excluded).
    fn draw(&self, draw: Draw, key: &Key, attempt: u64) -> f64 {
        let salted = mix(self.seed ^ mix(draw as u64));
        let keyed = key
            .as_str()
            .bytes()
            .fold(salted, |state, byte| mix(state ^ u64::from(byte)));
        // 53 bits: all that a double holds without rounding.
        (mix(keyed ^ mix(attempt)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Plan {
    /// Whether the answer gets lost: by chance any one, on demand the first one
    /// of its key only.
    pub(crate) fn loses_answer(&self, replayed: bool) -> bool {
        self.loses_this || (self.loses_first && !replayed)
    }
}

/// One step of splitmix64: a bijection of 64 bits which spreads them well.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Checks that a rate is a probability.
pub(crate) fn check_rate(name: &'static str, rate: f64) -> Result<(), WrongSetting> {
    if (0.0..=1.0).contains(&rate) {
        return Ok(());
    }
    Err(WrongSetting::new(
        name,
        rate.to_string(),
        "a probability from 0 to 1, such as 0.05",
    ))
}

/// Checks that a delay is not too long.
pub(crate) fn check_delay(name: &'static str, ms: u64) -> Result<(), WrongSetting> {
    if ms <= MAX_DELAY_MS {
        return Ok(());
    }
    Err(WrongSetting::new(
        name,
        ms.to_string(),
        "a number of milliseconds from 0 to 60000",
    ))
}

impl WrongSetting {
    /// Names a wrong value.
    pub(crate) fn new(name: &'static str, value: String, expected: &'static str) -> Self {
        Self {
            name,
            value,
            expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> Key {
        Key::parse(&format!("key-{n}")).unwrap()
    }

    #[test]
    fn nothing_goes_wrong_by_default() {
        let plan = Failures::default().plan(&key(1), 1, &Wish::default());
        assert!(!plan.fails && !plan.declines && plan.delay.is_zero() && !plan.loses_answer(false));
    }

    #[test]
    fn a_decline_is_a_function_of_seed_and_key_and_an_error_varies_by_attempt() {
        let failures = Failures {
            decline_rate: 0.5,
            error_rate: 0.5,
            seed: 7,
            ..Failures::default()
        };
        let plans = |n| (1..=20).map(move |attempt| failures.plan(&key(n), attempt, &Wish::default()));
        let mut declined = 0;
        for n in 0..1000 {
            let declines: Vec<bool> = plans(n).map(|plan| plan.declines).collect();
            assert!(declines.iter().all(|one| *one == declines[0]), "key {n}");
            declined += u32::from(declines[0]);
        }
        assert!((450..550).contains(&declined), "{declined} of 1000");
        let failed = plans(1).filter(|plan| plan.fails).count();
        assert!((1..20).contains(&failed), "{failed} of 20");
        assert!(plans(1).eq(plans(1)), "the same draws again");
    }

    #[test]
    fn a_rate_is_a_probability() {
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let failures = Failures {
                lost_answer_rate: wrong,
                ..Failures::default()
            };
            let error = failures.check().unwrap_err().to_string();
            assert!(error.starts_with("lost_answer_rate is "), "{error}");
        }
    }
}
