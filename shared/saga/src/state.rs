use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{EventId, More, Payload, Plan, StepIx, Timestamp, Token, carries_more};

/// All that is known of one saga after one of its events. It travels inside that event.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The saga's name: its `kind` on the wire.
    pub saga: Token,
    /// Which one.
    pub id: Token,
    /// Where it stands.
    pub status: Status,
    /// How many events it has, this one included.
    pub events: u64,
    /// The stream sequence of its first event; 0 in that event itself, which cannot know it yet.
    pub first_sequence: u64,
    /// How it began.
    pub start: Start,
    /// What turned it to compensation, if anything did.
    pub turned: Option<Turn>,
    /// Every step of the plan, by name.
    pub steps: BTreeMap<Token, StepState>,
    /// What newer code wrote there.
    pub more: More,
}

/// Where a saga stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Going forward.
    Running,
    /// Taking back what was done.
    Compensating,
    /// Every step is done. Final.
    Completed,
    /// Nothing is left done. Final.
    Cancelled,
}

/// How a saga began.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The event that started it.
    pub event_id: EventId,
    /// Its time, as its sender has it.
    pub at: Timestamp,
    /// When the owner let it in.
    pub accepted_at: Option<Timestamp>,
    /// Until when it may stay open.
    pub deadline: Option<Timestamp>,
    /// Its payload: the input of every step that reads the start event.
    pub payload: Payload,
    /// What newer code wrote there.
    pub more: More,
}

/// What turned a saga to compensation: the first refusal, deadline or cancellation.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// The event that turned it.
    pub event_id: EventId,
    /// Its type.
    pub event_type: Token,
    /// Its reason, which `OrderCancelled` repeats.
    pub reason: String,
    /// What newer code wrote there.
    pub more: More,
}

/// One step of one saga.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepState {
    /// Where the step stands.
    pub status: StepStatus,
    /// The event whose fold opened it: the only trigger that runs it.
    pub opened_by: Option<EventId>,
    /// When that was.
    pub opened_at: Option<Timestamp>,
    /// How it succeeded; kept when it is undone.
    pub done: Option<Outcome>,
    /// How it was refused.
    pub refused: Option<Outcome>,
    /// How it was undone.
    pub undone: Option<Outcome>,
    /// It made no progress within its limits and is still tried, slowly; gone with the next outcome.
    pub stuck: Option<Stuck>,
    /// What newer code wrote there.
    pub more: More,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepStatus {
    /// Something that it depends on is not done.
    #[default]
    Waiting,
    /// Its effect may have been tried, by anybody, any number of times; it has no outcome yet.
    Open,
    /// Its effect happened.
    Done,
    /// Its effect did not happen and never will.
    Refused,
    /// Its effect happened and was taken back.
    Undone,
}

/// The recorded outcome of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The event that records it.
    pub event_id: EventId,
    /// The event that made the worker act: a duplicate of that one is recognised by this.
    pub causation_id: Option<EventId>,
    /// When it was recorded, by the worker's clock.
    pub at: Timestamp,
    /// Attempts that it took.
    pub attempt: Option<u32>,
    /// Why, for a refusal.
    pub reason: Option<String>,
    /// What later steps and the undo read; only on what is done.
    pub payload: Option<Payload>,
    /// Where its writer was in a trace that is kept.
    pub traceparent: Option<String>,
    /// What newer code wrote there.
    pub more: More,
}

/// A step that made no progress within its limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Stuck {
    /// Which way it was going.
    pub direction: Direction,
    /// Since when.
    pub since: Timestamp,
    /// The last error.
    pub reason: String,
    /// What newer code wrote there.
    pub more: More,
}

/// Which way an effect goes.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// Making it happen, or settling whether it did.
    Forward,
    /// Taking it back.
    Undo,
}

impl State {
    /// Where `step` stands. A step that this state does not know (it was added to the plan later) waits.
    pub fn status_of(&self, plan: &Plan, step: StepIx) -> StepStatus {
        self.step(plan, step).map_or(StepStatus::Waiting, |s| s.status)
    }

    /// All that is known of `step`.
    pub fn step(&self, plan: &Plan, step: StepIx) -> Option<&StepState> {
        self.steps.get(&plan.step(step).name)
    }

    /// True once nothing can follow: completed or cancelled.
    pub const fn is_final(&self) -> bool {
        matches!(self.status, Status::Completed | Status::Cancelled)
    }

    /// True if this is the state `folded`, though newer code may have put more into it. The fields of that sort that
    /// `folded` has need to be there; what is in them is for newer code to say.
    pub fn extends(&self, folded: &Self) -> bool {
        if self == folded {
            return true;
        }
        let mut known = self.clone();
        known.limit_to(folded);
        known == *folded
    }

    /// The steps that made no progress within their limits.
    pub fn stuck(&self) -> impl Iterator<Item = (&Token, &Stuck)> {
        self.steps
            .iter()
            .filter_map(|(name, step)| step.stuck.as_ref().map(|stuck| (name, stuck)))
    }
}

impl State {
    fn limit_to(&mut self, other: &Self) {
        self.more.limit_to(&other.more);
        self.start.more.limit_to(&other.start.more);
        if let (Some(turned), Some(other)) = (&mut self.turned, &other.turned) {
            turned.more.limit_to(&other.more);
        }
        for (name, step) in &mut self.steps {
            if let Some(other) = other.steps.get(name) {
                step.limit_to(other);
            }
        }
    }
}

impl StepState {
    fn limit_to(&mut self, other: &Self) {
        self.more.limit_to(&other.more);
        if let (Some(stuck), Some(other)) = (&mut self.stuck, &other.stuck) {
            stuck.more.limit_to(&other.more);
        }
        let outcomes = [
            (&mut self.done, &other.done),
            (&mut self.refused, &other.refused),
            (&mut self.undone, &other.undone),
        ];
        for (mine, other) in outcomes {
            if let (Some(mine), Some(other)) = (mine, other) {
                mine.more.limit_to(&other.more);
            }
        }
    }
}

impl StepStatus {
    /// True while the effect happened or may have: something may have to be settled or undone.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Open | Self::Done)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Compensating => "compensating",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        })
    }
}

impl fmt::Display for StepStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Undone => "undone",
        })
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forward => "forward",
            Self::Undo => "undo",
        })
    }
}

carries_more!(State {
    saga "saga" needed, id "id" needed, status "status" needed, events "events" needed,
    first_sequence "firstSequence" counted, start "start" needed, turned "turned" given, steps "steps" needed,
});
carries_more!(Start {
    event_id "eventId" needed, at "at" needed, accepted_at "acceptedAt" given, deadline "deadline" given,
    payload "payload" needed,
});
carries_more!(Turn { event_id "eventId" needed, event_type "eventType" needed, reason "reason" needed });
carries_more!(StepState {
    status "status" needed, opened_by "openedBy" given, opened_at "openedAt" given, done "done" given,
    refused "refused" given, undone "undone" given, stuck "stuck" given,
});
carries_more!(Outcome {
    event_id "eventId" needed, causation_id "causationId" given, at "at" needed, attempt "attempt" given,
    reason "reason" given, payload "payload" given, traceparent "traceparent" given,
});
carries_more!(Stuck { direction "direction" needed, since "since" needed, reason "reason" needed });
