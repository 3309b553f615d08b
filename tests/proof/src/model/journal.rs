use std::iter;

use anyhow::{Context, ensure};
use saga::{
    Event, EventId, EvolveError, Kind, Payload, Plan, State, StepIx, StepStatus, Timestamp, Token, evolve,
};

use super::{EVENTS, EventIx, EventSet, JournalIx, STEPS};

/// Every journal that the plan allows: a tree whose root is the start event and whose edges are the appends
/// that the product's own `evolve` accepts.
///
/// A state of a saga is a function of its events, so a place in this tree stands for the events, the state that
/// each of them carries, and the guard. `evolve` is asked once per journal and event, not once per transition of
/// the search. `StepStuck` is left out: it changes no step and may repeat without end.
#[derive(Debug)]
pub struct Journals {
    plan: Plan,
    id: Token,
    events: Vec<Token>,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    parent: Option<JournalIx>,
    last: EventIx,
    holds: EventSet,
    length: u8,
    state: State,
    statuses: [StepStatus; STEPS],
    next: [Option<JournalIx>; EVENTS],
}

impl Journals {
    /// The journal that holds the start event alone.
    pub const ROOT: JournalIx = JournalIx(0);
    /// The start event.
    pub const START: EventIx = EventIx(0);

    /// Grows the tree of `plan`, which has exactly [`STEPS`] steps.
    ///
    /// # Errors
    /// When the plan has another size, refuses its own start, or lets an event follow itself.
    pub fn grow(plan: Plan) -> anyhow::Result<Self> {
        ensure!(
            plan.steps().count() == STEPS,
            "this model takes a saga of {STEPS} steps"
        );
        let id = Token::new("ORD-1")?;
        let events = event_types(&plan);
        let mut all = Self {
            plan,
            id,
            events,
            nodes: Vec::new(),
        };
        let first = evolve(&all.plan, None, &all.event(Self::START)?, &all.id, 0)?;
        all.add(None, Self::START, first)?;
        let mut from = 0;
        while from < all.nodes.len() {
            for event in all.events() {
                if let Ok(state) = all.evolve(JournalIx(u16::try_from(from)?), event)? {
                    let child = all.add(Some(JournalIx(u16::try_from(from)?)), event, state)?;
                    all.nodes[from].next[event.0 as usize] = Some(child);
                }
            }
            from += 1;
        }
        Ok(all)
    }

    /// The plan that it was grown from.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// All journals, each after the one it continues.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = JournalIx> + use<> {
        (0..self.nodes.len()).map(|i| JournalIx(i as u16))
    }

    /// All event types.
    pub fn events(&self) -> impl Iterator<Item = EventIx> + use<> {
        (0..self.events.len()).map(|i| EventIx(i as u8))
    }

    /// The journal after one more event, or `None` where `evolve` refuses it.
    pub fn append(&self, to: JournalIx, event: EventIx) -> Option<JournalIx> {
        self.nodes[to.0 as usize].next[event.0 as usize]
    }

    /// The journal without its last event.
    pub fn parent(&self, of: JournalIx) -> Option<JournalIx> {
        self.nodes[of.0 as usize].parent
    }

    /// The last event.
    pub fn last(&self, of: JournalIx) -> EventIx {
        self.nodes[of.0 as usize].last
    }

    /// The events that a journal holds.
    pub fn holds(&self, journal: JournalIx) -> EventSet {
        self.nodes[journal.0 as usize].holds
    }

    /// How many those are: the sequence of the last one, in a stream of this saga alone.
    pub fn length(&self, of: JournalIx) -> u8 {
        self.nodes[of.0 as usize].length
    }

    /// The state that the last event carries.
    pub fn state(&self, of: JournalIx) -> &State {
        &self.nodes[of.0 as usize].state
    }

    /// Where each step stands after the last event.
    pub fn statuses(&self, of: JournalIx) -> [StepStatus; STEPS] {
        self.nodes[of.0 as usize].statuses
    }

    /// The name of an event type.
    pub fn name(&self, event: EventIx) -> &Token {
        &self.events[event.0 as usize]
    }

    /// The place of an event type, if the saga has it.
    pub fn find(&self, name: &Token) -> Option<EventIx> {
        self.events
            .iter()
            .position(|n| n == name)
            .map(|i| EventIx(i as u8))
    }

    /// The id that every replica derives for the event of this type.
    pub fn event_id(&self, event: EventIx) -> EventId {
        EventId::derived(
            self.plan.saga.as_str(),
            self.id.as_str(),
            self.name(event).as_str(),
        )
    }

    /// What the product's `evolve` says of one more event.
    ///
    /// # Errors
    /// When a payload does not serialise.
    pub fn evolve(&self, to: JournalIx, event: EventIx) -> anyhow::Result<Result<State, EvolveError>> {
        let guard = u64::from(self.length(to));
        Ok(evolve(
            &self.plan,
            Some(self.state(to)),
            &self.event(event)?,
            &self.id,
            guard,
        ))
    }

    fn event(&self, event: EventIx) -> anyhow::Result<Event<State>> {
        let payload = Payload::of(&self.name(event)).context("an event type is text")?;
        Ok(Event::new(
            self.event_id(event),
            self.name(event).clone(),
            Timestamp::EPOCH,
            payload,
        ))
    }

    fn add(&mut self, parent: Option<JournalIx>, last: EventIx, state: State) -> anyhow::Result<JournalIx> {
        let before = parent.map(|p| self.holds(p)).unwrap_or_default();
        ensure!(!before.has(last), "evolve lets {} follow itself", self.name(last));
        let mut statuses = [StepStatus::Waiting; STEPS];
        for (ix, _) in self.plan.steps() {
            statuses[ix.0] = state.status_of(&self.plan, ix);
        }
        let ix = JournalIx(u16::try_from(self.nodes.len()).context("the plan allows too many journals")?);
        self.nodes.push(Node {
            parent,
            last,
            holds: before.with(last),
            length: u8::try_from(state.events)?,
            state,
            statuses,
            next: [None; EVENTS],
        });
        Ok(ix)
    }

    /// From a journal back to its start, itself first.
    pub fn back(&self, from: JournalIx) -> impl Iterator<Item = JournalIx> {
        iter::successors(Some(from), |ix| self.parent(*ix))
    }

    /// What an event type means.
    pub fn kind(&self, event: EventIx) -> Option<Kind> {
        self.plan.kind(self.name(event))
    }
}

/// The event types in an order that never changes: the start first.
fn event_types(plan: &Plan) -> Vec<Token> {
    let mut all = vec![plan.start.clone()];
    let outcomes = |ix: (StepIx, &saga::StepPlan)| {
        [
            Some(ix.1.done.clone()),
            Some(ix.1.refused.clone()),
            ix.1.undone.clone(),
        ]
    };
    all.extend(plan.steps().flat_map(outcomes).flatten());
    all.extend([
        plan.timed_out.clone(),
        plan.cancellation_requested.clone(),
        plan.cancelled.clone(),
    ]);
    all
}
