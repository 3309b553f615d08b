use serde::{Deserialize, Serialize};

use crate::{
    Dependency, Direction, Event, Kind, More, Outcome, Plan, Start, State, Status, StepIx, StepState,
    StepStatus, Stuck, Token, Turn,
};

/// Event type of a step that made no progress within its limits. Every saga has it.
pub const STEP_STUCK: &str = "StepStuck";

/// The payload of [`STEP_STUCK`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StepStuck {
    /// Which step.
    pub step: Token,
    /// Which way it was going.
    pub direction: Direction,
    /// The last error.
    pub reason: String,
}

/// Why an event cannot follow a state. A journal that was only written through the guard never shows one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvolveError {
    /// The saga has no such event type.
    #[error("saga {saga} has no event type {event}")]
    UnknownEvent {
        /// The saga.
        saga: Token,
        /// The event type.
        event: Token,
    },
    /// The event cannot happen there.
    #[error("{event} cannot follow: {why}")]
    Illegal {
        /// The event type.
        event: Token,
        /// What stands against it.
        why: String,
    },
}

/// The state after `event`, given the state before it (`None` before the first) and the guard it was, or will
/// be, appended under: the stream sequence of the entity's previous event, 0 for the first.
///
/// Total: every combination answers, and what breaks the protocol answers with an error. Deterministic: folding
/// an entity's events again gives, byte for byte, the states that they carry.
///
/// # Errors
/// When the event cannot follow the state.
pub fn evolve<S>(
    plan: &Plan,
    before: Option<&State>,
    event: &Event<S>,
    id: &Token,
    guard: u64,
) -> Result<State, EvolveError> {
    let fold = Fold { plan, event };
    let kind = plan
        .kind(&event.event_type)
        .ok_or_else(|| EvolveError::UnknownEvent {
            saga: plan.saga.clone(),
            event: event.event_type.clone(),
        })?;
    let Some(before) = before else {
        return if kind == Kind::Started {
            Ok(fold.start(id))
        } else {
            Err(fold.illegal("the saga has not begun"))
        };
    };
    if before.is_final() {
        return Err(fold.illegal(format_args!("the saga is {}", before.status)));
    }
    let mut state = before.clone();
    state.events += 1;
    if before.events == 1 {
        state.first_sequence = guard;
    }
    match kind {
        Kind::Started => return Err(fold.illegal("the saga has begun already")),
        Kind::Done(step) => fold.done(&mut state, step)?,
        Kind::Refused(step) => fold.refused(&mut state, step)?,
        Kind::Undone(step) => fold.undone(&mut state, step)?,
        Kind::TimedOut | Kind::CancellationRequested => fold.turned(&mut state)?,
        Kind::Cancelled => fold.cancelled(&mut state)?,
        Kind::Stuck => fold.stuck(&mut state)?,
    }
    Ok(state)
}

struct Fold<'a, S> {
    plan: &'a Plan,
    event: &'a Event<S>,
}

impl<S> Fold<'_, S> {
    fn start(&self, id: &Token) -> State {
        let mut state = State {
            saga: self.plan.saga.clone(),
            id: id.clone(),
            status: Status::Running,
            events: 1,
            first_sequence: 0,
            start: Start {
                event_id: self.event.event_id,
                at: self.event.timestamp,
                accepted_at: self.event.accepted_at,
                deadline: self.event.deadline,
                payload: self.event.payload.clone(),
                more: More::default(),
            },
            turned: None,
            steps: self
                .plan
                .steps()
                .map(|(_, s)| (s.name.clone(), StepState::default()))
                .collect(),
            more: More::default(),
        };
        self.open_what_is_ready(&mut state);
        state
    }

    fn done(&self, state: &mut State, step: StepIx) -> Result<(), EvolveError> {
        let payload = Some(self.event.payload.clone());
        let entry = self.expect(state, step, StepStatus::Open)?;
        entry.status = StepStatus::Done;
        entry.stuck = None;
        entry.done = Some(Outcome {
            payload,
            ..self.outcome()
        });
        if state.status == Status::Running {
            if state.steps.values().all(|s| s.status == StepStatus::Done) {
                state.status = Status::Completed;
            } else {
                self.open_what_is_ready(state);
            }
        }
        Ok(())
    }

    fn refused(&self, state: &mut State, step: StepIx) -> Result<(), EvolveError> {
        let entry = self.expect(state, step, StepStatus::Open)?;
        entry.status = StepStatus::Refused;
        entry.stuck = None;
        entry.refused = Some(self.outcome());
        if state.status == Status::Running {
            self.turn(state);
        }
        Ok(())
    }

    fn undone(&self, state: &mut State, step: StepIx) -> Result<(), EvolveError> {
        if state.status != Status::Compensating {
            return Err(self.illegal(format_args!("the saga is {}", state.status)));
        }
        if let Some(dependent) = active_dependent(self.plan, state, step) {
            let name = &self.plan.step(dependent).name;
            return Err(self.illegal(format_args!("step {name} depends on it and is not undone")));
        }
        let entry = self.expect(state, step, StepStatus::Done)?;
        entry.status = StepStatus::Undone;
        entry.stuck = None;
        entry.undone = Some(self.outcome());
        Ok(())
    }

    fn turned(&self, state: &mut State) -> Result<(), EvolveError> {
        if state.status != Status::Running {
            return Err(self.illegal(format_args!("the saga is {}", state.status)));
        }
        if pivot_is_open(self.plan, state) {
            return Err(self.illegal("the pivot is open: the saga can only go forward"));
        }
        self.turn(state);
        Ok(())
    }

    fn cancelled(&self, state: &mut State) -> Result<(), EvolveError> {
        if state.status != Status::Compensating {
            return Err(self.illegal(format_args!("the saga is {}", state.status)));
        }
        if let Some((name, step)) = state.steps.iter().find(|(_, s)| s.status.is_active()) {
            return Err(self.illegal(format_args!("step {name} is {}", step.status)));
        }
        state.status = Status::Cancelled;
        Ok(())
    }

    fn stuck(&self, state: &mut State) -> Result<(), EvolveError> {
        let stuck: StepStuck = self.event.payload.read().map_err(|e| self.illegal(e))?;
        let Some(entry) = state.steps.get_mut(&stuck.step) else {
            return Err(self.illegal(format_args!("there is no step {}", stuck.step)));
        };
        if !entry.status.is_active() {
            return Err(self.illegal(format_args!("step {} is {}", stuck.step, entry.status)));
        }
        entry.stuck = Some(Stuck {
            direction: stuck.direction,
            since: self.event.timestamp,
            reason: stuck.reason,
            more: More::default(),
        });
        Ok(())
    }

    fn turn(&self, state: &mut State) {
        state.status = Status::Compensating;
        state.turned = Some(Turn {
            event_id: self.event.event_id,
            event_type: self.event.event_type.clone(),
            reason: self
                .event
                .reason
                .clone()
                .unwrap_or_else(|| self.event.event_type.to_string()),
            more: More::default(),
        });
    }

    /// Opens every waiting step whose dependencies are all done, and names this event as what opened it.
    fn open_what_is_ready(&self, state: &mut State) {
        for (ix, step) in self.plan.steps() {
            let ready = state.status_of(self.plan, ix) == StepStatus::Waiting
                && step.after.iter().all(|dependency| match dependency {
                    Dependency::Start => true,
                    Dependency::Step(other) => state.status_of(self.plan, *other) == StepStatus::Done,
                });
            if ready {
                let entry = state.steps.entry(step.name.clone()).or_default();
                entry.status = StepStatus::Open;
                entry.opened_by = Some(self.event.event_id);
                entry.opened_at = Some(self.event.accepted_at.unwrap_or(self.event.timestamp));
            }
        }
    }

    fn outcome(&self) -> Outcome {
        Outcome {
            event_id: self.event.event_id,
            causation_id: self.event.causation_id,
            at: self.event.timestamp,
            attempt: self.event.attempt,
            reason: self.event.reason.clone(),
            payload: None,
            traceparent: self.event.traceparent.clone(),
            more: More::default(),
        }
    }

    fn expect<'s>(
        &self,
        state: &'s mut State,
        step: StepIx,
        status: StepStatus,
    ) -> Result<&'s mut StepState, EvolveError> {
        let name = &self.plan.step(step).name;
        match state.steps.get_mut(name) {
            Some(entry) if entry.status == status => Ok(entry),
            Some(entry) => Err(self.illegal(format_args!("step {name} is {}", entry.status))),
            None => Err(self.illegal(format_args!("step {name} is not in the state"))),
        }
    }

    fn illegal(&self, why: impl std::fmt::Display) -> EvolveError {
        EvolveError::Illegal {
            event: self.event.event_type.clone(),
            why: why.to_string(),
        }
    }
}

/// A step that depends on `step` and happened or may have.
pub(crate) fn active_dependent(plan: &Plan, state: &State, step: StepIx) -> Option<StepIx> {
    plan.step(step)
        .dependents
        .iter()
        .copied()
        .find(|other| state.status_of(plan, *other).is_active())
}

/// True once the step without an undo may have been tried.
pub(crate) fn pivot_is_open(plan: &Plan, state: &State) -> bool {
    plan.pivot()
        .is_some_and(|pivot| state.status_of(plan, pivot) == StepStatus::Open)
}
