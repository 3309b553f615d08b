use std::fmt::Write;

use super::{
    EventIx, Failure, Key, Model, Move, Next, OWNER, STEPS, Seed, System, Timer, Trigger, What, Wrong,
    system::Call,
};

/// A shortest way to a broken promise.
#[derive(Debug)]
pub struct Counterexample {
    /// The promise.
    pub wrong: Wrong,
    /// What happened, and the system after each move. The last one breaks the promise.
    pub path: Vec<(Move, System)>,
}

impl Counterexample {
    /// The story, one line a move; an exclamation mark is a fault.
    pub fn tell(&self, model: &Model) -> String {
        let mut story = String::new();
        let mut faults = model.config().faults;
        for (i, (step, system)) in self.path.iter().enumerate() {
            let mark = if system.faults < faults { '!' } else { ' ' };
            faults = system.faults;
            let _ = writeln!(
                story,
                "{:>4} {mark} {:<10} {}",
                i + 1,
                model.who(step.who),
                model.say(step)
            );
        }
        let _ = writeln!(story, "       => {}", model.accuse(self.wrong, self.path.last()));
        if let Some((_, end)) = self.path.last() {
            story.push_str(&model.show(end));
        }
        story
    }
}

impl Model {
    /// The name of a consumer.
    pub fn who(&self, who: usize) -> &str {
        if who == OWNER {
            "owner"
        } else {
            self.journals().plan().step(saga::StepIx(who)).name.as_str()
        }
    }

    /// The journal, the saga and the world of one system, one line each.
    pub fn show(&self, system: &System) -> String {
        let journals = self.journals();
        let mut events: Vec<&str> = journals
            .back(system.head)
            .map(|j| self.event(journals.last(j)))
            .collect();
        events.reverse();
        let list = |of: &dyn Fn(usize) -> String| {
            (0..STEPS)
                .map(|s| format!("{} {}", self.who(s), of(s)))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let saga = list(&|s| journals.statuses(system.head)[s].to_string());
        let world = list(&|s| outside(system, s).to_owned());
        let status = journals.state(system.head).status;
        let journal = events.join(", ");
        format!(
            "          journal  {journal}\n          saga     {status}: {saga}\n          world    {world}\n"
        )
    }

    fn event(&self, event: EventIx) -> &str {
        self.journals().name(event).as_str()
    }

    /// What is wrong, in a sentence.
    fn accuse(&self, wrong: Wrong, last: Option<&(Move, System)>) -> String {
        let name = |step: u8| self.who(usize::from(step));
        match wrong {
            Wrong::Fork => "the guard was stale: this event's state leaves out the event before it".into(),
            Wrong::Refused => match last.map(|(m, s)| (m.what, s)) {
                Some((What::Appends(event, _) | What::Lands(event), system)) => {
                    match self.journals().evolve(system.head, event) {
                        Ok(Err(refusal)) => format!("evolve refuses: {refusal}"),
                        _ => format!("evolve refuses {}", self.event(event)),
                    }
                }
                _ => "evolve refuses".into(),
            },
            Wrong::BuiltOnNothing(s) => format!("{} happened without what it builds on", name(s)),
            Wrong::UndidNothing(s) => format!("{} took back what never happened", name(s)),
            Wrong::UndidTooEarly(s) => format!("{} was taken back before what builds on it", name(s)),
            Wrong::Contradiction(s) => match last {
                Some((_, system)) => {
                    let status = self.journals().statuses(system.head)[usize::from(s)];
                    let world = outside(system, usize::from(s));
                    format!("{} is {status} in the journal and {world} outside", name(s))
                }
                None => format!("{} is one thing in the journal and another outside", name(s)),
            },
            Wrong::Forgotten(s) => format!(
                "{} still owes the journal something, and nothing will remind it",
                name(s)
            ),
            Wrong::Stranded => "nothing is left to do, and the saga has not ended".into(),
            Wrong::Books => "the saga has ended, and the books are wrong".into(),
        }
    }

    /// What happens, in a sentence.
    fn say(&self, step: &Move) -> String {
        let on = step.trigger.map(|t| self.trigger(t)).unwrap_or_default();
        match step.what {
            What::Takes { read, twice, next } => self.takes(&on, read, twice, next),
            What::Calls(call, key) => format!("{}: {}", self.calls(call), answer(call, key)),
            What::Fails { call, happened, then } => {
                let effect = if happened {
                    "it works, but no answer comes"
                } else {
                    "no answer comes"
                };
                format!("{}: {effect}; {}", self.calls(call), failure(then))
            }
            What::Appends(event, next) => format!("appends {}: {}", self.event(event), self.plan_of(next)),
            What::AppendsBlindly(event) => format!("appends {}, but sees a timeout", self.event(event)),
            What::Floats(event) => format!(
                "publishes {}, which is delayed; sees a timeout",
                self.event(event)
            ),
            What::Conflicts(event, next) => {
                format!(
                    "appends {}: refused, the guard is stale; {}",
                    self.event(event),
                    self.plan_of(next)
                )
            }
            What::Rereads(next) => format!("reads from the leader: {}", self.plan_of(next)),
            What::Schedules(next) => format!("publishes a retry of {on}: {}", self.plan_of(next)),
            What::Acks => format!("acknowledges {on}, late"),
            What::Dies => format!("dies with {on} in hand"),
            What::DiesCalling => format!("dies with {on} in hand, its request under way"),
            What::Arrives(key) => format!(
                "(a request that nobody waits for arrives: {})",
                answer(Call::Run, key)
            ),
            What::Lands(event) => format!("(a delayed {} lands)", self.event(event)),
        }
    }

    fn takes(&self, on: &str, read: u8, twice: bool, next: Next) -> String {
        let again = if twice {
            ", on which another worker still is,"
        } else {
            ""
        };
        let events = if read == 1 { "event" } else { "events" };
        format!(
            "takes {on}{again} with the state of {read} {events}: {}",
            self.plan_of(next)
        )
    }

    fn trigger(&self, trigger: Trigger) -> String {
        match trigger {
            Trigger::Event(event) => self.event(event).to_owned(),
            Trigger::Retry(event) => format!("the retry of {}", self.event(event)),
            Trigger::Timer(Timer::Deadline) => "the deadline".to_owned(),
            Trigger::Timer(Timer::Cancellation) => "a cancellation".to_owned(),
        }
    }

    fn plan_of(&self, next: Next) -> String {
        match next {
            Next::Call(Call::Run) => "run".to_owned(),
            Next::Call(Call::Settle) => "settle".to_owned(),
            Next::Call(Call::Undo) => "undo".to_owned(),
            Next::Append(event) => format!("append {}", self.event(event)),
            Next::Reread => "read again".to_owned(),
            Next::Ack => "nothing to do, acknowledged".to_owned(),
            Next::AckLate => "nothing to do, acknowledges later".to_owned(),
            Next::AckLost => "nothing to do, the acknowledgement is lost".to_owned(),
        }
    }

    fn calls(&self, call: Call) -> &'static str {
        match call {
            Call::Run => "runs its effect",
            Call::Settle => "settles its key",
            Call::Undo if self.config().seed == Some(Seed::UndoUnderForwardKey) => {
                "undoes under the forward key"
            }
            Call::Undo => "takes its effect back",
        }
    }
}

const fn answer(call: Call, key: Key) -> &'static str {
    match (call, key) {
        (Call::Undo, _) => "done",
        (_, Key::Untouched) => "nothing happened so far",
        (_, Key::Happened) => "it happened",
        (_, Key::Refused) => "refused",
        (_, Key::Forbidden) => "it did not happen and never will",
    }
}

const fn failure(then: Failure) -> &'static str {
    match then {
        Failure::GiveBack => "gives the message back",
        Failure::Schedule => "will schedule a retry",
        Failure::Exhausted => "that was the last attempt",
    }
}

const fn outside(system: &System, step: usize) -> &'static str {
    match (
        system.world.keys[step],
        system.world.undone[step],
        system.world.under_way[step],
    ) {
        (Key::Untouched, _, true) => "under way",
        (Key::Untouched, _, false) => "untouched",
        (Key::Happened, false, _) => "happened",
        (Key::Happened, true, _) => "taken back",
        (Key::Refused, ..) => "refused",
        (Key::Forbidden, ..) => "forbidden",
    }
}
