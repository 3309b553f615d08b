use std::{fmt, time::Duration};

use saga::{Next, Plan, Retry, Timestamp};

use crate::{AppendError, ReadError, letters::Reason};

/// Why a trigger is not finished.
#[derive(Debug)]
pub(crate) enum Setback {
    /// It never will be.
    Poison(Reason, String),
    /// A newer worker wrote it, or what the saga is by now: its turn.
    Newer(u32),
    /// The effect failed; it may succeed later.
    Effect(anyhow::Error),
    /// Something that it needs may still be on its way.
    Early(String),
    /// NATS did not do its part; it says nothing about the effect.
    Journal(String),
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// Negative acknowledgement: the server delivers it again after this long, at most [`Retry::SHORT`].
    HandBack(Duration),
    /// A scheduled message, then an acknowledgement; with the attempts made so far.
    Later(Duration, u32),
    /// A dead letter, then termination.
    Bury(Reason, String),
}

/// What is known of a delivery when its fate is decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// Which attempt failed.
    pub(crate) attempt: u32,
    /// When it was put off first.
    pub(crate) since: Option<Timestamp>,
    /// What time it is.
    pub(crate) now: Timestamp,
    /// Any random number.
    pub(crate) dice: u32,
    /// True if the server still counts its deliveries as attempts.
    pub(crate) soon: bool,
    /// True if a message that used up its attempts is buried; a step's never is.
    pub(crate) buries: bool,
}

/// How long a newer worker is awaited.
const NEWER: Duration = Duration::from_secs(24 * 3600);
/// How long the saga of a cancellation is awaited, which may have overtaken its order.
const EARLY: Duration = Duration::from_secs(60);

/// The one way from an error to what becomes of the message. Total.
pub(crate) fn disposition(setback: &Setback, retry: &Retry, it: Circumstances) -> Disposition {
    let waited = it.since.map_or(Duration::ZERO, |since| it.now.since(since));
    match setback {
        Setback::Poison(reason, why) => Disposition::Bury(*reason, why.clone()),
        Setback::Newer(version) if waited >= NEWER => Disposition::Bury(
            Reason::Newer,
            format!("version {version} is newer than this worker, and no newer worker took it for a day"),
        ),
        Setback::Newer(_) => Disposition::Later(Duration::from_secs(5), it.attempt.saturating_sub(1)),
        Setback::Early(why) if waited >= EARLY => Disposition::Bury(Reason::Unknown, why.clone()),
        // It is a matter of milliseconds, unless it is a mistake.
        Setback::Early(_) if it.soon => {
            Disposition::HandBack(Duration::from_millis(50) * 2_u32.pow(it.attempt.min(4)))
        }
        Setback::Early(_) => Disposition::Later(Duration::from_secs(2), it.attempt),
        Setback::Journal(_) => Disposition::HandBack(Retry::SHORT.mul_f64(0.25 + spread(it.dice) * 0.75)),
        Setback::Effect(error) => match retry.after(it.attempt, it.dice) {
            Next::Exhausted(_) if it.buries => Disposition::Bury(
                Reason::Exhausted,
                format!("after {} attempts: {error:#}", it.attempt),
            ),
            Next::Again(pause) | Next::Exhausted(pause) if it.soon && pause <= Retry::SHORT => {
                Disposition::HandBack(pause)
            }
            Next::Again(pause) | Next::Exhausted(pause) => Disposition::Later(pause, it.attempt),
        },
    }
}

impl fmt::Display for Setback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poison(_, why) | Self::Early(why) | Self::Journal(why) => f.write_str(why),
            Self::Newer(version) => write!(f, "version {version} is newer than this worker"),
            Self::Effect(error) => write!(f, "{error:#}"),
        }
    }
}

impl Disposition {
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::HandBack(_) => "handed back",
            Self::Later(..) => "scheduled",
            Self::Bury(..) => "buried",
        }
    }
}

impl Setback {
    /// What logs and traces say of it. What is wrong with a message may quote it, and whoever wrote it may be a person:
    /// that stands in the dead letter alone.
    pub(crate) fn in_public(&self) -> String {
        match self {
            Self::Poison(reason, _) => reason.word().to_owned(),
            other => other.to_string(),
        }
    }
}

fn spread(dice: u32) -> f64 {
    f64::from(dice) / f64::from(u32::MAX)
}

impl Setback {
    /// Why a state could not be read by a worker of this plan. What a newer one wrote is left to it.
    pub(crate) fn unread(plan: &Plan, error: ReadError) -> Self {
        match error {
            ReadError::Unlike { version, .. } if version > plan.version => Self::Newer(version),
            other => other.into(),
        }
    }
}

impl From<ReadError> for Setback {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(why) => Self::Journal(why),
            ReadError::Corrupt { .. } | ReadError::Unlike { .. } => {
                Self::Poison(Reason::Undecodable, error.to_string())
            }
        }
    }
}

impl From<AppendError> for Setback {
    fn from(error: AppendError) -> Self {
        Self::Journal(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(attempt: u32, waited: u64, buries: bool) -> Circumstances {
        let now = Timestamp::EPOCH.after(Duration::from_secs(1_000_000));
        let since = Some(Timestamp::EPOCH.after(Duration::from_secs(1_000_000 - waited)));
        Circumstances {
            attempt,
            since,
            now,
            dice: 0,
            soon: attempt < 5,
            buries,
        }
    }

    fn effect() -> Setback {
        Setback::Effect(anyhow::anyhow!("no answer"))
    }

    #[test]
    fn short_delays_hold_their_place_and_long_ones_do_not() {
        let retry = Retry::default();
        let ms = Duration::from_millis;
        assert_eq!(
            disposition(&effect(), &retry, at(1, 0, false)),
            Disposition::HandBack(ms(100))
        );
        assert_eq!(
            disposition(&effect(), &retry, at(4, 0, false)),
            Disposition::HandBack(ms(800))
        );
        assert_eq!(
            disposition(&effect(), &retry, at(5, 0, false)),
            Disposition::Later(ms(1600), 5)
        );
    }

    #[test]
    fn short_delays_too_end_in_a_count_that_goes_on() {
        let retry = Retry {
            first: Duration::from_millis(1),
            ..Retry::default()
        };
        assert_eq!(
            disposition(&effect(), &retry, at(5, 0, true)),
            Disposition::Later(Duration::from_millis(16), 5)
        );
    }

    #[test]
    fn a_step_is_never_buried_and_a_handler_is_at_the_end_of_its_attempts() {
        let retry = Retry::default();
        assert!(matches!(
            disposition(&effect(), &retry, at(500, 0, false)),
            Disposition::Later(_, 500)
        ));
        let buried = disposition(&effect(), &retry, at(12, 0, true));
        assert_eq!(
            buried,
            Disposition::Bury(Reason::Exhausted, "after 12 attempts: no answer".to_owned())
        );
    }

    #[test]
    fn newer_events_wait_a_day_uncounted_and_early_ones_a_minute() {
        let retry = Retry::default();
        let newer = Setback::Newer(7);
        assert_eq!(
            disposition(&newer, &retry, at(3, 60, false)),
            Disposition::Later(Duration::from_secs(5), 2)
        );
        assert!(matches!(
            disposition(&newer, &retry, at(3, 90_000, false)),
            Disposition::Bury(Reason::Newer, _)
        ));
        let early = Setback::Early("no saga".to_owned());
        let soon = Duration::from_millis(100);
        assert_eq!(
            disposition(&early, &retry, at(1, 0, true)),
            Disposition::HandBack(soon)
        );
        assert!(matches!(
            disposition(&early, &retry, at(5, 59, true)),
            Disposition::Later(..)
        ));
        assert!(matches!(
            disposition(&early, &retry, at(1, 60, true)),
            Disposition::Bury(Reason::Unknown, _)
        ));
    }

    #[test]
    fn trouble_with_nats_is_no_attempt_of_the_effect() {
        let journal = Setback::Journal("no responders".to_owned());
        let Disposition::HandBack(pause) = disposition(&journal, &Retry::default(), at(99, 0, true)) else {
            panic!("it is handed back");
        };
        assert!(pause <= Retry::SHORT);
    }
}
