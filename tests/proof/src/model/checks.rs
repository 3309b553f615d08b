use saga::{Status, StepStatus};

use super::{CONSUMERS, Due, Key, Model, OWNER, STEPS, System, Timer, Trigger, Worker};

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wrong {
    /// An append landed on a stale guard: the event's state leaves out the event before it (one chain, no forks).
    Fork,
    /// `evolve` refused an append under a fresh guard: a second outcome, an undo before a dependent's, an event
    /// after the end, or another that the rules rule out.
    Refused,
    /// The effect of this step happened without one that it builds on (nothing ships without payment and stock).
    BuiltOnNothing(u8),
    /// The undo of this step took back what never happened.
    UndidNothing(u8),
    /// The undo of this step came before a dependent's.
    UndidTooEarly(u8),
    /// The journal says something else of this step than the world does.
    Contradiction(u8),
    /// This consumer owes the journal something, and no message and no worker will remind it.
    Forgotten(u8),
    /// Nothing is left to do and the saga has not ended.
    Stranded,
    /// The saga has ended and the books are wrong: not everything stands, or not everything is taken back.
    Books,
}

impl Model {
    /// The promise that `system` breaks, if it breaks one. Everything is checked of every system.
    pub fn judge(&self, system: &System) -> Option<Wrong> {
        system
            .wrong
            .or_else(|| {
                (0..STEPS)
                    .find(|s| self.contradicts(system, *s))
                    .map(|s| Wrong::Contradiction(s as u8))
            })
            .or_else(|| {
                (0..CONSUMERS)
                    .find(|w| self.forgot(system, *w))
                    .map(|w| Wrong::Forgotten(w as u8))
            })
            .or_else(|| {
                if self.is_quiet(system) {
                    self.ending(system)
                } else {
                    None
                }
            })
    }

    /// True if nothing will happen any more, unless a turn or something late comes in from outside.
    pub fn is_quiet(&self, system: &System) -> bool {
        system.workers.as_flattened().iter().all(|w| *w == Worker::Idle)
            && (0..CONSUMERS).all(|who| self.is_over(system, who) || !self.has_mail(system, who))
    }

    /// True if nothing that consumer `who` still has or does can change anything for anybody else.
    pub(super) fn is_over(&self, system: &System, who: usize) -> bool {
        self.debts.over(system.head, who) && (who == OWNER || self.is_settled(system, who))
    }

    /// The world holds the last word on a step that is over, so that even an old decision changes nothing.
    fn is_settled(&self, system: &System, step: usize) -> bool {
        let world = &system.world;
        match self.journals.statuses(system.head)[step] {
            StepStatus::Waiting => world.keys[step] == Key::Untouched && !world.under_way[step],
            StepStatus::Open => false,
            StepStatus::Done => world.stands(step),
            StepStatus::Refused => !matches!(world.keys[step], Key::Untouched | Key::Happened),
            StepStatus::Undone => world.keys[step] == Key::Happened && world.undone[step],
        }
    }

    fn has_mail(&self, system: &System, who: usize) -> bool {
        let events = self
            .journals
            .holds(system.head)
            .and(self.hears[who])
            .minus(system.acked[who]);
        let others = if who == OWNER {
            system.timers.contains(&Due::Now)
        } else {
            !system.retries[who].is_empty()
        };
        !events.is_empty() || others
    }

    /// What is owed is due or in hand: an acknowledgement means that the journal owes nothing for this trigger.
    fn forgot(&self, system: &System, who: usize) -> bool {
        let owed = self.debts.owed(system.head, who);
        if system.workers[who].iter().any(|w| *w != Worker::Idle) {
            return false;
        }
        let reminded = owed.iter().any(|event| {
            self.hears[who].has(event) && !system.acked[who].has(event)
                || who != OWNER && system.retries[who].has(event)
        });
        if who != OWNER {
            return !owed.is_empty() && !reminded;
        }
        !owed.is_empty() && !reminded && !system.timers.contains(&Due::Now) || self.ignored_a_turn(system)
    }

    /// A turn that could still be taken was acknowledged. (A running saga shows whether it was taken.)
    fn ignored_a_turn(&self, system: &System) -> bool {
        let asked = usize::from(self.config.turns);
        Timer::ALL.iter().take(asked).any(|timer| {
            system.timers[timer.index()] == Due::No
                && self.debts.turns(system.head, *timer)
                && !system.in_hand(OWNER, Trigger::Timer(*timer))
        })
    }

    fn contradicts(&self, system: &System, step: usize) -> bool {
        let happened = system.world.keys[step] == Key::Happened;
        let undone = system.world.undone[step];
        match self.journals.statuses(system.head)[step] {
            StepStatus::Waiting | StepStatus::Refused => happened,
            StepStatus::Open => undone,
            StepStatus::Done => !happened,
            StepStatus::Undone => !undone,
        }
    }

    fn ending(&self, system: &System) -> Option<Wrong> {
        let stands = |step| system.world.stands(step);
        match self.journals.state(system.head).status {
            Status::Completed => (!(0..STEPS).all(stands)).then_some(Wrong::Books),
            Status::Cancelled => (0..STEPS).any(stands).then_some(Wrong::Books),
            Status::Running | Status::Compensating => Some(Wrong::Stranded),
        }
    }
}
