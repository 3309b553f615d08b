use std::time::Duration;

/// When to try again, as a value. The engine asks; nothing here waits.
///
/// Attempt `n` that fails is followed by a delay of `first * 2^(n-1)`, at most `max`, shortened by up to a
/// quarter at random so that failures do not march in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The delay after the first failure.
    pub first: Duration,
    /// The longest delay.
    pub max: Duration,
    /// Attempts forward before the step is settled and refused, and back before the saga shows as stuck.
    pub limit: u32,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again after this long.
    Again(Duration),
    /// The limit is reached; if trying goes on all the same, then after this long.
    Exhausted(Duration),
}

impl Retry {
    /// A negative acknowledgement holds a place in the consumer's window, so it may wait no longer than this;
    /// longer delays are scheduled messages.
    pub const SHORT: Duration = Duration::from_secs(1);

    /// What follows the failure of attempt number `attempt` (the first is 1). `dice` is any random number.
    pub fn after(&self, attempt: u32, dice: u32) -> Next {
        let doublings = attempt.saturating_sub(1).min(31);
        let delay = self.first.saturating_mul(1 << doublings).min(self.max);
        let shortened = delay - delay.mul_f64(f64::from(dice) / f64::from(u32::MAX) / 4.0);
        if attempt >= self.limit {
            Next::Exhausted(shortened)
        } else {
            Next::Again(shortened)
        }
    }
}

impl Default for Retry {
    /// 100 ms doubling to 60 s, 12 attempts: about three minutes.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            max: Duration::from_mins(1),
            limit: 12,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_end_at_the_limit() {
        let retry = Retry {
            first: Duration::from_millis(100),
            max: Duration::from_secs(1),
            limit: 6,
        };
        let delays: Vec<_> = (1..=7).map(|attempt| retry.after(attempt, 0)).collect();
        let ms = Duration::from_millis;
        assert_eq!(
            delays,
            [
                Next::Again(ms(100)),
                Next::Again(ms(200)),
                Next::Again(ms(400)),
                Next::Again(ms(800)),
                Next::Again(ms(1000)),
                Next::Exhausted(ms(1000)),
                Next::Exhausted(ms(1000)),
            ]
        );
    }

    #[test]
    fn chance_shortens_by_at_most_a_quarter_and_nothing_overflows() {
        let retry = Retry::default();
        for attempt in [1, 5, 31, 32, 33, u32::MAX] {
            for dice in [0, 1, u32::MAX / 2, u32::MAX] {
                let (Next::Again(delay) | Next::Exhausted(delay)) = retry.after(attempt, dice);
                let (Next::Again(full) | Next::Exhausted(full)) = retry.after(attempt, 0);
                assert!(
                    delay <= full && delay >= full.mul_f64(0.749),
                    "{attempt} {dice} {delay:?}"
                );
            }
        }
    }
}
