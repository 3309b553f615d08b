//! Named points on the way of a message, and bugs that can be switched on: what the tests prove the protocol with.
//!
//! All of it is compiled in only with the feature `testing`. Without it every function here is empty, and the compiler
//! leaves nothing of them.

/// A point on the way of a message at which a worker may die, or an answer may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// It was taken from the consumer.
    Taken,
    /// It was read as an event of its saga.
    Decoded,
    /// There is a state to decide on.
    StateTaken,
    /// It is decided what to do.
    Decided,
    /// The effect is about to be made, settled or undone.
    BeforeEffect,
    /// It was, and the answer is there.
    AfterEffect,
    /// The append is about to be published.
    BeforeAppend,
    /// It was taken, and the answer is there.
    AfterAppend,
    /// The mark of a handled event is about to be published.
    BeforeMark,
    /// It was.
    AfterMark,
    /// A deadline is about to be armed.
    BeforeTimer,
    /// It was.
    AfterTimer,
    /// A retry is about to be scheduled.
    BeforeRetry,
    /// It was.
    AfterRetry,
    /// A dead letter is about to be written.
    BeforeLetter,
    /// It was.
    AfterLetter,
    /// The message is about to be acknowledged. An answer that is lost here is the acknowledgement.
    BeforeAcknowledge,
    /// It was.
    Acknowledged,
}

/// A bug that somebody could write, switched on to see that it is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// Acknowledge as soon as the effect has answered, append afterwards.
    AckBeforeAppend,
    /// Append without a guard.
    NoGuard,
    /// Spell the guard of one entity in two ways.
    TwoGuards,
    /// Use another effect key for every attempt.
    FreshKey,
    /// Undo under the forward key.
    UndoUnderForwardKey,
    /// Drop the outcome when its append meets another.
    DroppedOnConflict,
    /// Leave the open steps of a compensating saga alone.
    OpenStepsLeft,
    /// End a compensating saga while steps are open.
    CancelledTooEarly,
    /// Acknowledge once the outcome is recorded, without deciding again.
    DecideOnce,
    /// Believe whatever a replica answers, even if it is older than the trigger.
    StaleReads,
    /// Let a deadline turn a saga whose pivot is open.
    DeadlineAfterPivot,
    /// Fire a join on the first of the steps that it waits for.
    JoinFiresEarly,
    /// Settle without asking whether the effect happened.
    SettleUnasked,
    /// Acknowledge first, schedule the retry afterwards.
    AckBeforeRetry,
}

#[cfg(feature = "testing")]
mod armed;
#[cfg(feature = "testing")]
mod newer;
#[cfg(feature = "testing")]
pub use armed::*;
#[cfg(feature = "testing")]
pub(crate) use newer::{ahead, enrich};

#[cfg(not(feature = "testing"))]
mod unarmed;
#[cfg(not(feature = "testing"))]
pub(crate) use unarmed::*;
