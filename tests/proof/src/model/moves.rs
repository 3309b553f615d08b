use super::{EventIx, Key, System, Trigger, Wrong, system::Call};

/// One step of the search: who does what. The words for it are in `transcript`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The consumer whose worker moves.
    pub who: usize,
    /// What it acts on; `None` for what nobody waits for any more.
    pub trigger: Option<Trigger>,
    /// What happens.
    pub what: What,
}

/// What happens in one move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A worker takes its trigger and reads the state after this many events.
    Takes {
        /// How many events the state knows.
        read: u8,
        /// Another worker is still on the same trigger: its lease ran out.
        twice: bool,
        /// What it decides.
        next: Next,
    },
    /// A call is answered.
    Calls(Call, Key),
    /// A call is not answered, and the worker does something about that.
    Fails {
        /// The call.
        call: Call,
        /// Whether it had its effect all the same.
        happened: bool,
        /// What the worker does.
        then: Failure,
    },
    /// An append lands.
    Appends(EventIx, Next),
    /// An append lands and its worker never hears of it.
    AppendsBlindly(EventIx),
    /// An append looks like a timeout and floats.
    Floats(EventIx),
    /// An append is refused: the guard is stale.
    Conflicts(EventIx, Next),
    /// A worker reads from the leader after an append that did not go well.
    Rereads(Next),
    /// A worker publishes a retry message.
    Schedules(Next),
    /// A late acknowledgement.
    Acks,
    /// A worker dies.
    Dies,
    /// A worker dies while its forward request is under way.
    DiesCalling,
    /// A forward request arrives that nobody waits for.
    Arrives(Key),
    /// An append lands that nobody waits for.
    Lands(EventIx),
}

/// What a worker does after it decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It will call outside.
    Call(Call),
    /// It will append.
    Append(EventIx),
    /// It will read from the leader.
    Reread,
    /// Nothing is left to do: it acknowledges.
    Ack,
    /// The same, and the acknowledgement is late.
    AckLate,
    /// The same, and the acknowledgement is lost.
    AckLost,
}

/// What a worker does about a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It gives the message back, to have it delivered again.
    GiveBack,
    /// It schedules a retry message.
    Schedule,
    /// That was the last attempt within the limits.
    Exhausted,
}

/// Collects the moves out of one system.
#[derive(Debug, Default)]
pub(super) struct Moves {
    pub(super) all: Vec<(Move, System)>,
}

impl Moves {
    pub(super) fn push(&mut self, who: usize, trigger: Option<Trigger>, what: What, to: System) {
        self.all.push((Move { who, trigger, what }, to));
    }
}

impl System {
    /// The same system with one fault spent, if one is left.
    pub(super) fn spend(self) -> Option<Self> {
        Some(Self {
            faults: self.faults.checked_sub(1)?,
            ..self
        })
    }

    /// The same system with a broken promise, if one was broken.
    pub(super) fn flag(mut self, wrong: Option<Wrong>) -> Self {
        self.wrong = self.wrong.or(wrong);
        self
    }
}
