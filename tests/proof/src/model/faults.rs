use super::{
    EventIx, Failure, Key, Model, OWNER, STEPS, Seed, System, Trigger, What, Worker, Wrong, ladder::Hand,
    moves::Moves, system::Call,
};

/// Calls outside and all that goes wrong.
impl Model {
    /// Act: the call is answered, or it is not.
    pub(super) fn act(&self, system: &System, hand: Hand, call: Call, fresh: bool, moves: &mut Moves) {
        for (answer, happened) in self.answers(system, hand.who, call) {
            let mut answered = happened;
            if self.is_seeded(Seed::AckBeforeAppend) {
                answered.acknowledge(hand.who, hand.trigger);
            }
            if let Some(event) = self.outcome(hand.who, call, answer) {
                let trigger = hand.trigger;
                answered.workers[hand.who][hand.slot] = Worker::Appending {
                    trigger,
                    event,
                    fresh,
                };
            }
            moves.push(hand.who, Some(hand.trigger), What::Calls(call, answer), answered);
            if happened.world != system.world {
                self.fail(&happened, hand, call, true, fresh, moves);
            }
        }
        let mut late = *system;
        if call == Call::Run && self.could_arrive(system, hand.who) {
            late.world.under_way[hand.who] = true;
        }
        self.fail(&late, hand, call, false, fresh, moves);
    }

    /// What a call may answer, and the world after it.
    fn answers(&self, system: &System, step: usize, call: Call) -> Vec<(Key, System)> {
        let with = |world, wrong| System { world, ..*system }.flag(wrong);
        match call {
            Call::Run => system
                .world
                .run(step, &self.needs[step])
                .map(|(world, key, wrong)| (key, with(world, wrong)))
                .collect(),
            Call::Settle if self.is_seeded(Seed::SettleByAsking) => vec![(system.world.keys[step], *system)],
            Call::Settle => {
                let (world, key) = system.world.settle(step);
                vec![(key, with(world, None))]
            }
            Call::Undo if self.is_seeded(Seed::UndoUnderForwardKey) => {
                vec![(system.world.keys[step], *system)]
            }
            Call::Undo => {
                let (world, wrong) = system.world.undo(step, &self.dependents[step]);
                vec![(Key::Happened, with(world, wrong))]
            }
        }
    }

    /// No answer came, for one fault: the message is given back, scheduled, or that was the last attempt.
    fn fail(&self, at: &System, hand: Hand, call: Call, happened: bool, fresh: bool, moves: &mut Moves) {
        let Some(failed) = at.spend() else { return };
        let trigger = hand.trigger;
        let mut push = |then, worker| {
            let mut to = failed;
            to.workers[hand.who][hand.slot] = worker;
            if then == Failure::Schedule && self.is_seeded(Seed::AckBeforeRetry) {
                to.acknowledge(hand.who, trigger);
            }
            moves.push(hand.who, Some(trigger), What::Fails { call, happened, then }, to);
        };
        push(Failure::GiveBack, Worker::Idle);
        if matches!(trigger, Trigger::Event(_)) {
            push(Failure::Schedule, Worker::Scheduling { trigger });
        }
        if call == Call::Run {
            let blind = self
                .is_seeded(Seed::BlindRefusal)
                .then(|| self.outcome(hand.who, call, Key::Refused));
            push(
                Failure::Exhausted,
                match blind.flatten() {
                    Some(event) => Worker::Appending {
                        trigger,
                        event,
                        fresh,
                    },
                    None => Worker::Acting {
                        trigger,
                        call: Call::Settle,
                        fresh,
                    },
                },
            );
        }
    }

    /// Publish the retry message, then acknowledge.
    pub(super) fn schedule(&self, system: &System, hand: Hand, moves: &mut Moves) {
        let Trigger::Event(event) = hand.trigger else {
            return;
        };
        let mut scheduled = *system;
        scheduled.retries[hand.who] = scheduled.retries[hand.who].with(event);
        self.finish(scheduled, hand, |next, to| {
            moves.push(hand.who, Some(hand.trigger), What::Schedules(next), to);
        });
    }

    /// An append that looks like a timeout: it landed, or it floats under its guard. (One that is lost is one
    /// that floats for ever.)
    pub(super) fn append_badly(
        &self,
        system: &System,
        landed: &System,
        hand: Hand,
        event: EventIx,
        moves: &mut Moves,
    ) {
        let trigger = hand.trigger;
        let unsure = Worker::Rereading { trigger, event };
        if let Some(mut to) = landed.spend() {
            to.workers[hand.who][hand.slot] = unsure;
            moves.push(hand.who, Some(trigger), What::AppendsBlindly(event), to);
        }
        if let Some(mut to) = system.spend() {
            to.floating = Some(event);
            to.workers[hand.who][hand.slot] = unsure;
            moves.push(hand.who, Some(trigger), What::Floats(event), to);
        }
    }

    /// A worker dies between two instructions; what it had in hand is delivered again.
    pub(super) fn die(&self, system: &System, hand: Hand, worker: Worker, moves: &mut Moves) {
        let Some(mut dead) = system.spend() else { return };
        dead.workers[hand.who][hand.slot] = Worker::Idle;
        moves.push(hand.who, Some(hand.trigger), What::Dies, dead);
        let running = matches!(worker, Worker::Acting { call: Call::Run, .. });
        if running && self.could_arrive(system, hand.who) {
            dead.world.under_way[hand.who] = true;
            moves.push(hand.who, Some(hand.trigger), What::DiesCalling, dead);
        }
    }

    /// What nobody waits for any more arrives after all.
    pub(super) fn arrive(&self, system: &System, moves: &mut Moves) {
        for step in (0..STEPS).filter(|s| system.world.under_way[*s]) {
            for (answer, to) in self.answers(system, step, Call::Run) {
                moves.push(step, None, What::Arrives(answer), to);
            }
        }
        if let Some(event) = system.floating {
            let mut landed = *system;
            match self.journals.append(system.head, event) {
                Some(longer) => landed.grow(longer),
                None => landed.wrong = Some(Wrong::Refused),
            }
            moves.push(self.author(event), None, What::Lands(event), landed);
        }
    }

    fn could_arrive(&self, system: &System, step: usize) -> bool {
        system.world.keys[step] == Key::Untouched && !system.world.under_way[step]
    }

    /// The event that records an answer.
    fn outcome(&self, step: usize, call: Call, answer: Key) -> Option<EventIx> {
        let plan = self.journals.plan().step(saga::StepIx(step));
        match (call, answer) {
            (Call::Undo, _) => self.undone(step),
            (Call::Run | Call::Settle, Key::Happened) => self.journals.find(&plan.done),
            (Call::Run | Call::Settle, _) => self.journals.find(&plan.refused),
        }
    }

    pub(super) fn undone(&self, step: usize) -> Option<EventIx> {
        let name = self.journals.plan().step(saga::StepIx(step)).undone.as_ref()?;
        self.journals.find(name)
    }

    /// The consumer whose workers append an event of this type.
    fn author(&self, event: EventIx) -> usize {
        match self.journals.kind(event) {
            Some(saga::Kind::Done(step) | saga::Kind::Refused(step) | saga::Kind::Undone(step)) => step.0,
            _ => OWNER,
        }
    }
}
