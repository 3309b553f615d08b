use saga::{OwnerAction, StepAction};

use super::{Due, JournalIx, Model, Next, OWNER, Seed, System, Timer, Trigger, ladder::Hand, system::Call};

/// What a worker gets to see: the messages, the states that it may read for them, and what the rules make of both.
impl Model {
    /// The messages that a consumer may hand out.
    pub(super) fn due(&self, system: &System, who: usize) -> impl Iterator<Item = Trigger> + use<> {
        let events = self
            .journals
            .holds(system.head)
            .and(self.hears[who])
            .minus(system.acked[who]);
        let retries = system.retries.get(who).copied().unwrap_or_default();
        let timers = system.timers;
        let due = move |timer: &Timer| who == OWNER && timers[timer.index()] != Due::No;
        let events = events.iter().map(Trigger::Event);
        events
            .chain(retries.iter().map(Trigger::Retry))
            .chain(Timer::ALL.into_iter().filter(due).map(Trigger::Timer))
    }

    /// The states that a worker may take for `trigger`: for an event of the journal any from its own on, be it
    /// carried, a replica's or the leader's; for everything else the leader's.
    pub(super) fn readable(&self, system: &System, trigger: Trigger) -> impl Iterator<Item = JournalIx> {
        let mut oldest = match trigger {
            Trigger::Event(event) if !self.is_seeded(Seed::StaleReads) => Some(event),
            Trigger::Event(_) => None,
            Trigger::Retry(_) | Trigger::Timer(_) => Some(self.journals.last(system.head)),
        };
        let mut passed = false;
        self.journals.back(system.head).take_while(move |journal| {
            let wanted = !passed;
            if oldest == Some(self.journals.last(*journal)) {
                passed = true;
                oldest = None;
            }
            wanted
        })
    }

    /// What the product's rules say.
    pub(super) fn next(&self, read: JournalIx, hand: Hand) -> Next {
        let action = match hand.trigger {
            Trigger::Event(event) | Trigger::Retry(event) if hand.who != OWNER => {
                return match self.rules.step(read, hand.who, event) {
                    StepAction::Nothing => Next::Ack,
                    StepAction::Run => Next::Call(Call::Run),
                    StepAction::Settle => Next::Call(Call::Settle),
                    StepAction::Undo => Next::Call(Call::Undo),
                };
            }
            Trigger::Event(event) | Trigger::Retry(event) => self.rules.owner(read, event),
            Trigger::Timer(timer) => self.rules.timer(read, timer),
        };
        let plan = self.journals.plan();
        let event = match action {
            OwnerAction::Nothing => None,
            OwnerAction::TimeOut => self.journals.find(&plan.timed_out),
            OwnerAction::RequestCancellation => self.journals.find(&plan.cancellation_requested),
            OwnerAction::Cancel => self.journals.find(&plan.cancelled),
        };
        event.map_or(Next::Ack, Next::Append)
    }
}
