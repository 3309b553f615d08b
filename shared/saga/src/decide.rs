use crate::{
    EventId, Plan, State, Status, StepIx, StepStatus,
    evolve::{active_dependent, pivot_is_open},
};

/// What a step's worker does about a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepAction {
    /// The journal owes nothing for this trigger: acknowledge it.
    Nothing,
    /// Make the effect happen, under the forward key.
    Run,
    /// Make the outcome of the forward key final: it happened, or it is forbidden for ever.
    Settle,
    /// Take the effect back, under the undo key.
    Undo,
}

/// What made the saga's owner act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerTrigger {
    /// An event of the journal.
    Event,
    /// The deadline fired.
    Deadline,
    /// Somebody asked to stop.
    Cancellation,
}

/// What the saga's owner does about a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerAction {
    /// The journal owes nothing for this trigger: acknowledge it.
    Nothing,
    /// Record that the deadline elapsed.
    TimeOut,
    /// Record that somebody asked to stop.
    RequestCancellation,
    /// Record the end of the compensation.
    Cancel,
}

/// What the worker of `step` owes the saga for `trigger`, given the state that it read.
///
/// Asked again after every append, until the answer is [`StepAction::Nothing`]; only then is the trigger
/// acknowledged. Delivery counts, clocks and replica numbers are no arguments: they decide nothing.
pub fn decide(plan: &Plan, state: &State, step: StepIx, trigger: EventId) -> StepAction {
    let status = state.status_of(plan, step);
    let opened_by = state.step(plan, step).and_then(|s| s.opened_by);
    match (state.status, status) {
        (Status::Running, StepStatus::Open) if opened_by == Some(trigger) => StepAction::Run,
        (Status::Compensating, StepStatus::Open) => StepAction::Settle,
        (Status::Compensating, StepStatus::Done)
            if plan.step(step).undone.is_some() && active_dependent(plan, state, step).is_none() =>
        {
            StepAction::Undo
        }
        (Status::Running | Status::Compensating | Status::Completed | Status::Cancelled, _) => {
            StepAction::Nothing
        }
    }
}

/// What the saga's owner owes it for `trigger`, given the state that it read.
pub fn decide_owner(plan: &Plan, state: &State, trigger: OwnerTrigger) -> OwnerAction {
    match (state.status, trigger) {
        (Status::Running, OwnerTrigger::Deadline) if !pivot_is_open(plan, state) => OwnerAction::TimeOut,
        (Status::Running, OwnerTrigger::Cancellation) if !pivot_is_open(plan, state) => {
            OwnerAction::RequestCancellation
        }
        (Status::Compensating, _) if !state.steps.values().any(|s| s.status.is_active()) => {
            OwnerAction::Cancel
        }
        (Status::Running | Status::Compensating | Status::Completed | Status::Cancelled, _) => {
            OwnerAction::Nothing
        }
    }
}
