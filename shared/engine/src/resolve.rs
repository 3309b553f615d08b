//! What a person does by hand about a step that makes no progress.

use saga::{Event, EventId, Payload, Plan, State, StepIx, StepStatus, Token};

use crate::{Freshness, Journal, Recorded, clock::now, ladder, setback::Setback, subject::EntitySubject};

/// What a person states about the effect of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// It happened: this is the payload of the step's success.
    Happened(Payload),
    /// It did not happen and never will: this is the payload of the step's refusal.
    DidNotHappen(Payload),
    /// It was taken back: this is the payload of the step's undo.
    TakenBack(Payload),
}

/// Why nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no such saga.
    #[error("there is no {saga} {id}")]
    NoSaga {
        /// The saga.
        saga: Token,
        /// Which one.
        id: Token,
    },
    /// The step is not where such a statement means anything.
    #[error("step {step} of {id} is {found}; such a statement takes one that is {wanted}")]
    NotThere {
        /// Which saga.
        id: Token,
        /// The step.
        step: Token,
        /// Where it stands.
        found: StepStatus,
        /// Where it would have to be.
        wanted: StepStatus,
    },
    /// The step may still come to its own outcome.
    #[error("step {step} of {id} is not stuck: its worker is still at it; wait until it is, or say --force")]
    NotStuck {
        /// Which saga.
        id: Token,
        /// The step.
        step: Token,
    },
    /// The step cannot be undone.
    #[error("step {step} has no undo")]
    NoUndo {
        /// The step.
        step: Token,
    },
    /// The outcome cannot follow the saga's last event.
    #[error("{0}")]
    Illegal(String),
    /// The journal does not answer, or does not take it.
    #[error("the journal: {0}")]
    Journal(String),
}

/// Records the outcome of a step on a person's word, with who said so and why, as an event like any other: under the
/// guard, once, and whoever waits for it goes on. It has the id that the worker's own outcome would have, so one
/// that comes later is recognised and dropped.
///
/// An open step takes [`Statement::Happened`] or [`Statement::DidNotHappen`], a done one [`Statement::TakenBack`]; and
/// unless `force`, only where it shows as stuck. The engine cannot check what is stated: a wrong statement is wrong
/// money.
///
/// # Errors
/// When the step is not where the statement means anything, or the journal does not take it; nothing was recorded then.
pub async fn resolve(
    journal: &Journal,
    plan: &Plan,
    (id, step): (&Token, StepIx),
    statement: &Statement,
    (by, note): (&str, &str),
    force: bool,
) -> Result<Recorded<State>, ResolveError> {
    let entity = EntitySubject::new(&plan.saga, id);
    let found = ladder::load(journal, plan, entity, Freshness::Leader).await?;
    let mut seen = found.ok_or_else(|| ResolveError::NoSaga {
        saga: plan.saga.clone(),
        id: id.clone(),
    })?;
    loop {
        let event = outcome(plan, &seen.state, step, statement, (by, note), force)?;
        match ladder::append(journal, plan, &seen, &event).await? {
            Ok(after) => {
                return Ok(Recorded {
                    sequence: after.sequence,
                    guard: seen.sequence,
                    stored_at: event.timestamp,
                    event,
                    state: after.state,
                });
            }
            Err(latest) => seen = latest,
        }
    }
}

/// The event that a statement becomes, if the step is where it means something.
fn outcome(
    plan: &Plan,
    state: &State,
    ix: StepIx,
    statement: &Statement,
    (by, note): (&str, &str),
    force: bool,
) -> Result<Event<()>, ResolveError> {
    let (id, step) = (state.id.clone(), plan.step(ix));
    let no_undo = || ResolveError::NoUndo {
        step: step.name.clone(),
    };
    let (wanted, event_type, payload, reason) = match statement {
        Statement::Happened(payload) => (StepStatus::Open, &step.done, payload, None),
        Statement::DidNotHappen(payload) => (StepStatus::Open, &step.refused, payload, Some(note.to_owned())),
        Statement::TakenBack(payload) => {
            let undone = step.undone.as_ref().ok_or_else(no_undo)?;
            (StepStatus::Done, undone, payload, None)
        }
    };
    let step = step.name.clone();
    let found = state.status_of(plan, ix);
    if found != wanted {
        return Err(ResolveError::NotThere {
            id,
            step,
            found,
            wanted,
        });
    }
    if !force && !state.stuck().any(|(name, _)| *name == step) {
        return Err(ResolveError::NotStuck { id, step });
    }
    let event_id = EventId::derived(plan.saga.as_str(), id.as_str(), event_type.as_str());
    Ok(Event {
        version: plan.version,
        reason,
        resolved_by: Some(by.to_owned()),
        note: Some(note.to_owned()),
        ..Event::new(event_id, event_type.clone(), now(), payload.clone())
    })
}

impl From<Setback> for ResolveError {
    fn from(setback: Setback) -> Self {
        match setback {
            Setback::Poison(_, why) => Self::Illegal(why),
            other => Self::Journal(other.to_string()),
        }
    }
}
