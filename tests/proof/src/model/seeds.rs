use std::fmt;

use saga::{Plan, PlanError};

use super::plans;

/// A bug that somebody could write, put into the protocol on purpose. Each must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// Acknowledge as soon as the call is answered, append afterwards.
    AckBeforeAppend,
    /// Acknowledge as soon as the step's outcome is recorded, by whomever, without deciding again.
    DecideOnce,
    /// Acknowledge when an append is refused, without reading and deciding again.
    DroppedOnConflict,
    /// Append without a guard.
    NoGuard,
    /// Believe any state, even one that is older than the trigger.
    StaleReads,
    /// Undo under the forward key: the provider answers what it answered before.
    UndoUnderForwardKey,
    /// Leave the open steps of a compensating saga alone.
    OpenStepsLeft,
    /// Settle by asking what happened, without forbidding what has not.
    SettleByAsking,
    /// End a compensating saga while steps are open.
    CancelledTooEarly,
    /// Let a deadline turn a saga whose pivot is open.
    DeadlineAfterPivot,
    /// Run a step on the first of the events that it waits for.
    JoinFiresEarly,
    /// Record a refusal when the attempts are used up, without settling.
    BlindRefusal,
    /// Append the owner's decision after a conflict, as if it were a fact.
    OwnerInsists,
    /// Leave the refusals out of the steps' filters.
    DeafToRefusals,
    /// Acknowledge first, publish the retry message second.
    AckBeforeRetry,
    /// Undo a step while another that builds on it is open or done.
    UndoBeforeDependents,
}

impl Seed {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::AckBeforeAppend,
        Self::DecideOnce,
        Self::DroppedOnConflict,
        Self::NoGuard,
        Self::StaleReads,
        Self::UndoUnderForwardKey,
        Self::OpenStepsLeft,
        Self::SettleByAsking,
        Self::CancelledTooEarly,
        Self::DeadlineAfterPivot,
        Self::JoinFiresEarly,
        Self::BlindRefusal,
        Self::OwnerInsists,
        Self::DeafToRefusals,
        Self::AckBeforeRetry,
        Self::UndoBeforeDependents,
    ];
}

impl Seed {
    /// A saga that shows the bug. In the checkout only the pivot has dependencies, and while it is open or done
    /// nothing is undone, so the order of undos takes a chain.
    ///
    /// # Errors
    /// When the saga's definition breaks a rule of plans.
    pub fn plan(self) -> Result<Plan, PlanError> {
        match self {
            Self::UndoBeforeDependents => plans::chain(),
            _ => plans::checkout(),
        }
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AckBeforeAppend => "acknowledge before the append",
            Self::DecideOnce => "acknowledge without deciding again",
            Self::DroppedOnConflict => "drop the outcome on a conflict",
            Self::NoGuard => "append without a guard",
            Self::StaleReads => "act on a stale read",
            Self::UndoUnderForwardKey => "undo under the forward key",
            Self::OpenStepsLeft => "leave open steps unsettled",
            Self::SettleByAsking => "settle by only asking",
            Self::CancelledTooEarly => "end the saga while steps are open",
            Self::DeadlineAfterPivot => "let the deadline turn an open pivot",
            Self::JoinFiresEarly => "fire the join on its first dependency",
            Self::BlindRefusal => "refuse blindly when attempts are used up",
            Self::OwnerInsists => "record the owner's decision after a conflict",
            Self::DeafToRefusals => "leave refusals out of the filters",
            Self::AckBeforeRetry => "acknowledge before the retry is scheduled",
            Self::UndoBeforeDependents => "undo before the dependents",
        })
    }
}
