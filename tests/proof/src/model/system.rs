use super::{CONSUMERS, EventIx, EventSet, JournalIx, Journals, Model, OWNER, STEPS, WORKERS, World, Wrong};

/// All of a running system at one moment: what the journal, the consumers, the workers and the world hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct System {
    /// The journal.
    pub head: JournalIx,
    /// Events that each consumer has acknowledged.
    pub acked: [EventSet; CONSUMERS],
    /// Triggers that wait as retry messages.
    pub retries: [EventSet; STEPS],
    /// The deadline and the cancellation.
    pub timers: [Due; 2],
    /// The workers of each consumer.
    pub workers: [[Worker; WORKERS]; CONSUMERS],
    /// An append that somebody gave up on and that may still land: its guard is the last event.
    pub floating: Option<EventIx>,
    /// What happened outside.
    pub world: World,
    /// Faults that may still happen.
    pub faults: u8,
    /// What the last move broke.
    pub wrong: Option<Wrong>,
}

/// Where a worker stands, between two of its instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Worker {
    /// It has nothing in hand.
    #[default]
    Idle,
    /// It is about to call outside.
    Acting {
        /// What it acts on.
        trigger: Trigger,
        /// Which call.
        call: Call,
        /// Whether the state that it decided on is still the last one.
        fresh: bool,
    },
    /// It is about to append.
    Appending {
        /// What it acts on.
        trigger: Trigger,
        /// What it appends.
        event: EventIx,
        /// Whether its guard is still the last event.
        fresh: bool,
    },
    /// Its append was refused, or it does not know: it is about to read from the leader.
    Rereading {
        /// What it acts on.
        trigger: Trigger,
        /// What it wanted to append.
        event: EventIx,
    },
    /// It is about to publish a retry message.
    Scheduling {
        /// What it acts on.
        trigger: Trigger,
    },
    /// It has decided that nothing is left to do, and its acknowledgement is late.
    Acking {
        /// What it acts on.
        trigger: Trigger,
    },
}

/// A call outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// Make the effect happen.
    Run,
    /// Make the outcome of the forward key final.
    Settle,
    /// Take the effect back.
    Undo,
}

/// What a worker acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trigger {
    /// An event of the journal, from the step's consumer.
    Event(EventIx),
    /// The same event, from a retry message.
    Retry(EventIx),
    /// A turn from outside.
    Timer(Timer),
}

/// A turn from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// The deadline fires.
    Deadline,
    /// Somebody asks to stop.
    Cancellation,
}

/// Where a turn from outside stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Due {
    /// It may come or not.
    #[default]
    Maybe,
    /// It came and is delivered until it is acknowledged.
    Now,
    /// It will not come (again).
    No,
}

impl System {
    /// One saga that has just begun.
    pub fn start(model: &Model) -> Self {
        let turns = usize::from(model.config().turns);
        Self {
            head: Journals::ROOT,
            acked: [EventSet::default(); CONSUMERS],
            retries: [EventSet::default(); STEPS],
            timers: std::array::from_fn(|i| if i < turns { Due::Maybe } else { Due::No }),
            workers: [[Worker::Idle; WORKERS]; CONSUMERS],
            floating: None,
            world: World::default(),
            faults: model.config().faults,
            wrong: None,
        }
    }

    /// True if a worker of `who` has `trigger` in hand.
    pub fn in_hand(&self, who: usize, trigger: Trigger) -> bool {
        self.workers[who].iter().any(|w| w.trigger() == Some(trigger))
    }

    /// The journal is longer: every guard is stale, and what still floats will be refused.
    pub(super) fn grow(&mut self, to: JournalIx) {
        self.head = to;
        self.floating = None;
        for worker in self.workers.as_flattened_mut() {
            if let Worker::Acting { fresh, .. } | Worker::Appending { fresh, .. } = worker {
                *fresh = false;
            }
        }
    }

    /// `who` acknowledges `trigger`: it is not delivered again.
    pub(super) fn acknowledge(&mut self, who: usize, trigger: Trigger) {
        match trigger {
            Trigger::Event(event) => self.acked[who] = self.acked[who].with(event),
            Trigger::Retry(event) => self.retries[who] = self.retries[who].without(event),
            Trigger::Timer(timer) => self.timers[timer.index()] = Due::No,
        }
    }

    /// The one form of all systems that behave alike: see the module's reductions.
    pub(super) fn canonical(mut self, model: &Model) -> Self {
        if model.config().forget && self.wrong.is_none() {
            for who in 0..CONSUMERS {
                if model.is_over(&self, who) {
                    self.forget(who);
                }
            }
        }
        for workers in &mut self.workers {
            workers.sort_unstable();
        }
        self
    }

    fn forget(&mut self, who: usize) {
        self.workers[who] = [Worker::Idle; WORKERS];
        self.acked[who] = EventSet::default();
        if who == OWNER {
            self.timers = [Due::No; 2];
        } else {
            self.retries[who] = EventSet::default();
        }
    }
}

impl Worker {
    /// What it has in hand.
    pub const fn trigger(self) -> Option<Trigger> {
        match self {
            Self::Idle => None,
            Self::Acting { trigger, .. }
            | Self::Appending { trigger, .. }
            | Self::Rereading { trigger, .. }
            | Self::Scheduling { trigger }
            | Self::Acking { trigger } => Some(trigger),
        }
    }
}

impl Timer {
    /// Both, in the order in which a configuration adds them.
    pub const ALL: [Self; 2] = [Self::Deadline, Self::Cancellation];

    /// Its place.
    pub const fn index(self) -> usize {
        self as usize
    }
}
