use std::collections::BTreeSet;

use saga::{
    Event, OwnerAction, OwnerTrigger, Plan, State, StepAction, StepIx, Token, decide, decide_owner, evolve,
};

use crate::given::{event, event_id, id, sequence};

/// Runs one saga to its end: workers that take their triggers in any order, effects that answer, refuse or keep
/// silent, and turns at any time. Every decision is the product's.
pub(super) struct Driver<'p> {
    plan: &'p Plan,
    history: Vec<Event<State>>,
    /// What each consumer still has to handle: a step or, last, the owner; and an event.
    pending: BTreeSet<(usize, Token)>,
    /// The word under each forward key, once there is one.
    keys: Vec<Option<bool>>,
    undone: Vec<bool>,
    dice: std::vec::IntoIter<u16>,
}

impl<'p> Driver<'p> {
    pub(super) fn new(plan: &'p Plan, dice: Vec<u16>) -> Self {
        let steps = plan.steps().count();
        Self {
            plan,
            history: Vec::new(),
            pending: BTreeSet::new(),
            keys: vec![None; steps],
            undone: vec![false; steps],
            dice: dice.into_iter(),
        }
    }

    /// Until nobody has anything left to do.
    pub(super) fn run(&mut self) {
        self.append(&self.plan.start.clone());
        for moves in 0.. {
            if self.pending.is_empty() {
                break;
            }
            assert!(moves < 10_000, "it never comes to rest: {:?}", self.types());
            match self.roll(16) {
                15 => self.turn(OwnerTrigger::Deadline),
                14 => self.turn(OwnerTrigger::Cancellation),
                _ => self.handle(),
            }
        }
    }

    pub(super) fn state(&self) -> &State {
        self.history.last().and_then(|e| e.state.as_ref()).unwrap()
    }

    pub(super) fn history(&self) -> &[Event<State>] {
        &self.history
    }

    pub(super) fn types(&self) -> Vec<&str> {
        self.history.iter().map(|e| e.event_type.as_str()).collect()
    }

    /// Where an event stands in the history; every one stands there once or never.
    pub(super) fn place(&self, event_type: &Token) -> Option<usize> {
        let mut places = (0..self.history.len()).filter(|i| self.history[*i].event_type == *event_type);
        let first = places.next();
        assert_eq!(places.next(), None, "{event_type} happened twice");
        first
    }

    /// True if the effect of `step` happened outside and was not taken back.
    pub(super) fn stands(&self, step: StepIx) -> bool {
        self.keys[step.0] == Some(true) && !self.undone[step.0]
    }

    /// One decision about one message; the message goes once the answer is nothing.
    fn handle(&mut self) {
        let place = usize::from(self.roll(u16::MAX)) % self.pending.len();
        let (who, trigger) = self.pending.iter().nth(place).cloned().unwrap();
        let next = if who == self.keys.len() {
            self.decision(OwnerTrigger::Event)
        } else {
            match decide(self.plan, self.state(), StepIx(who), event_id(trigger.as_str())) {
                StepAction::Nothing => None,
                StepAction::Run => Some(self.run_effect(who)),
                StepAction::Settle => Some(Some(self.outcome(who, false))),
                StepAction::Undo => Some(self.undo_effect(who)),
            }
        };
        match next {
            None => drop(self.pending.remove(&(who, trigger))),
            Some(None) => {} // no answer: it is delivered again
            Some(Some(event)) => self.append(&event),
        }
    }

    /// The effect happens or is refused, once; its answer may be lost, and it may not even arrive.
    fn run_effect(&mut self, step: usize) -> Option<Token> {
        if self.roll(8) == 1 {
            return None;
        }
        let yes = self.roll(4) != 3;
        let event = self.outcome(step, yes);
        (self.roll(8) != 1).then_some(event)
    }

    /// The word under the forward key of `step`: `otherwise` if there was none.
    fn outcome(&mut self, step: usize, otherwise: bool) -> Token {
        let plan = self.plan.step(StepIx(step));
        let happened = *self.keys[step].get_or_insert(otherwise);
        if happened {
            plan.done.clone()
        } else {
            plan.refused.clone()
        }
    }

    fn undo_effect(&mut self, step: usize) -> Option<Token> {
        let plan = self.plan.step(StepIx(step));
        assert_eq!(self.keys[step], Some(true), "{} never happened", plan.name);
        for dependent in &plan.dependents {
            assert!(
                !self.stands(*dependent),
                "{} still builds on {}",
                self.plan.step(*dependent).name,
                plan.name
            );
        }
        self.undone[step] = true;
        if self.roll(8) == 1 {
            None
        } else {
            plan.undone.clone()
        }
    }

    fn turn(&mut self, trigger: OwnerTrigger) {
        if let Some(Some(event)) = self.decision(trigger) {
            self.append(&event);
        }
    }

    fn decision(&self, trigger: OwnerTrigger) -> Option<Option<Token>> {
        match decide_owner(self.plan, self.state(), trigger) {
            OwnerAction::Nothing => None,
            OwnerAction::TimeOut => Some(Some(self.plan.timed_out.clone())),
            OwnerAction::RequestCancellation => Some(Some(self.plan.cancellation_requested.clone())),
            OwnerAction::Cancel => Some(Some(self.plan.cancelled.clone())),
        }
    }

    /// Appends what somebody decided, which `evolve` must accept, and hands it to everybody who hears it.
    fn append(&mut self, event_type: &Token) {
        let n = self.history.len() as u64 + 1;
        let guard = if n == 1 { 0 } else { sequence(n - 1) };
        let event = event(event_type.as_str(), n);
        let before = self.history.last().and_then(|e| e.state.as_ref());
        let state = evolve(self.plan, before, &event, &id(), guard).unwrap();
        self.history.push(event.with_state(Some(state)));
        for (ix, _) in self
            .plan
            .steps()
            .filter(|(ix, _)| self.plan.triggers(*ix).contains(event_type))
        {
            self.pending.insert((ix.0, event_type.clone()));
        }
        if self.plan.owner_triggers().contains(event_type) {
            self.pending.insert((self.keys.len(), event_type.clone()));
        }
    }

    /// A number below `sides`; 0 once the dice are used up.
    fn roll(&mut self, sides: u16) -> u16 {
        self.dice.next().unwrap_or(0) % sides
    }
}
