use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use saga::{Entity, Event, EventId, Plan, State, Timestamp, evolve};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Finds, Invariant, Kept, Message, Scope, lines::Name};
use crate::stock::{Adjustment, Ledger, Product, Reservation};

/// An event whose state is still text.
pub(super) type RawEvent = Event<Box<RawValue>>;

/// A message of the journal, taken apart.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) message: &'a Message,
    pub(super) name: &'a Name,
    /// The event type that the subject says.
    pub(super) what: &'a str,
    /// The event, unless the message holds none.
    pub(super) event: Option<&'a RawEvent>,
}

/// The events of one entity, as far as they are remembered.
#[derive(Debug)]
pub(super) struct Thread<S> {
    /// The sequence of the last event; 0 before the first.
    pub(super) last: u64,
    /// The state that the last event carries.
    pub(super) state: Option<S>,
    /// What is told of each event: of all, or of the last few where there is no end to them.
    pub(super) lines: VecDeque<Line>,
    digest: u64,
    /// What the bucket keeps: the sequence and the digest.
    kept: Option<(u64, u64)>,
}

/// What a story tells of an event.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) sequence: u64,
    pub(super) id: Option<EventId>,
    time: Timestamp,
    what: Box<str>,
    cause: Option<EventId>,
    attempt: Option<u32>,
    reason: Option<Box<str>>,
}

/// In what the bucket differs from the journal.
pub(super) enum Differs {
    /// It keeps something of which the journal has no event.
    Foreign,
    /// It keeps something else than the last event.
    Wrong(String),
}

/// The longest story of an entity that never ends.
const REMEMBERED: usize = 24;

impl<S> Default for Thread<S> {
    fn default() -> Self {
        Self {
            last: 0,
            state: None,
            lines: VecDeque::new(),
            digest: 0,
            kept: None,
        }
    }
}

impl<S> Thread<S> {
    /// Takes the next event: it has to rest on the one before it.
    pub(super) fn link(&mut self, told: &Told<'_>, finds: &mut Finds<'_>) {
        let Told {
            message, what, event, ..
        } = *told;
        let last = self.last;
        match message.guard {
            Some(guard) if guard == last => {}
            Some(guard) => finds.add(
                Invariant::I3,
                format!("{what} at {} rests on {guard}, not on {last}", message.sequence),
            ),
            None => finds.add(
                Invariant::I3,
                format!(
                    "{what} at {} was written without a guard; it follows {last}",
                    message.sequence
                ),
            ),
        }
        self.last = message.sequence;
        self.digest = digest(message.body.get());
        self.lines.push_back(Line {
            sequence: message.sequence,
            id: event.map(|event| event.event_id),
            time: message.time,
            what: what.into(),
            cause: event.and_then(|event| event.causation_id),
            attempt: event.and_then(|event| event.attempt),
            reason: event.and_then(|event| event.reason.as_deref().map(Into::into)),
        });
    }

    /// Forgets all but the last events.
    pub(super) fn forget(&mut self) {
        while self.lines.len() > REMEMBERED {
            self.lines.pop_front();
        }
    }

    /// Takes what the bucket keeps of this entity.
    pub(super) fn keep(&mut self, kept: &Kept) {
        self.kept = Some((kept.sequence, digest(kept.body.get())));
    }

    /// The bucket keeps the last event, byte for byte. Otherwise, in what it differs.
    pub(super) fn compare(&self, scope: Scope) -> Option<Differs> {
        let last = self.last;
        if last > scope.settled || self.kept.is_some_and(|(sequence, _)| sequence > scope.settled) {
            return None; // one of the two may be newer than the other
        }
        match self.kept {
            _ if last == 0 => Some(Differs::Foreign),
            None => Some(Differs::Wrong(format!(
                "the bucket lacks it; its last event is {last}"
            ))),
            Some((sequence, _)) if sequence != last => Some(Differs::Wrong(format!(
                "the bucket keeps event {sequence}, but its last event is {last}"
            ))),
            Some((_, digest)) if digest != self.digest => Some(Differs::Wrong(format!(
                "the bucket keeps another content than event {last} has"
            ))),
            Some(_) => None,
        }
    }

    /// A line for each event.
    pub(super) fn tell(&self) -> impl Iterator<Item = (u64, String)> {
        self.lines
            .iter()
            .map(|line| (line.sequence, line.tell(&self.lines)))
    }
}

impl<S: Fold> Thread<S> {
    /// Takes the next event, and folds its payload: that has to give the state that the event carries.
    pub(super) fn fold(&mut self, told: &Told<'_>, plan: &Plan, finds: &mut Finds<'_>) {
        let Some(event) = told.event else { return };
        let at = told.message.sequence;
        let before = self.state.take();
        let guard = told.message.guard.unwrap_or(0);
        let folded = S::fold(plan, before.as_ref(), event, told.name, guard);
        let carried = event
            .state
            .as_ref()
            .map(|state| serde_json::from_str::<S>(state.get()));
        match (&folded, &carried) {
            (Ok(folded), Some(Ok(carried))) if carried.extends(folded) => {}
            (Ok(_), Some(Ok(_))) => finds.add(
                Invariant::I7,
                format!(
                    "{} at {at} carries another state than its payload folds to",
                    told.what
                ),
            ),
            (_, Some(Err(why))) => finds.add(
                Invariant::I7,
                format!("{} at {at}: its state is none: {why}", told.what),
            ),
            (_, None) => finds.add(Invariant::I7, format!("{} at {at} carries no state", told.what)),
            (Err(why), Some(Ok(_))) => finds.add(Invariant::I7, format!("{} at {at}: {why}", told.what)),
        }
        // One wrong state is one violation: what follows is folded from what was carried.
        self.state = match carried {
            Some(Ok(carried)) => Some(carried),
            _ => folded.ok().or(before),
        };
    }
}

/// The code's own fold, whose results are compared with what the events carry.
pub(super) trait Fold: DeserializeOwned {
    fn fold(
        plan: &Plan,
        before: Option<&Self>,
        event: &RawEvent,
        name: &Name,
        guard: u64,
    ) -> Result<Self, String>;

    /// True if this, which an event carries, is what its payload folds to. Newer code may have put in more, but nothing that
    /// was there may be lost.
    fn extends(&self, folded: &Self) -> bool;
}

impl Fold for State {
    fn fold(
        plan: &Plan,
        before: Option<&Self>,
        event: &RawEvent,
        name: &Name,
        guard: u64,
    ) -> Result<Self, String> {
        evolve(plan, before, event, &name.id, guard).map_err(|error| error.to_string())
    }

    fn extends(&self, folded: &Self) -> bool {
        Self::extends(self, folded)
    }
}

macro_rules! entities {
    ($($entity:ty),+) => { $(impl Fold for $entity {
        fn fold(_: &Plan, before: Option<&Self>, event: &RawEvent, name: &Name, _: u64) -> Result<Self, String> {
            <Self as Entity>::evolve(before, event, &name.id).map_err(|error| error.to_string())
        }

        fn extends(&self, folded: &Self) -> bool {
            Ledger::extends(self, folded)
        }
    })+ };
}
entities!(Reservation, Product, Adjustment);

impl Line {
    fn tell(&self, all: &VecDeque<Self>) -> String {
        let cause = self.cause.map(|cause| {
            let own = all.iter().find(|line| line.id == Some(cause));
            own.map_or_else(
                || format!("  caused by {cause}"),
                |line| format!("  caused by {}", line.sequence),
            )
        });
        let attempt = self.attempt.map(|attempt| format!("  attempt {attempt}"));
        let reason = self.reason.as_ref().map(|reason| format!("  ({reason})"));
        format!(
            "{:>8}  {}  {:<20}{}{}{}",
            self.sequence,
            self.time,
            self.what,
            cause.unwrap_or_default(),
            attempt.unwrap_or_default(),
            reason.unwrap_or_default()
        )
    }
}

fn digest(body: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}
