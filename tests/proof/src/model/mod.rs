//! A model checker for one saga: every interleaving of workers, faults and turns, breadth first, on the product's
//! own [`saga::decide`], [`saga::decide_owner`], [`saga::evolve`] and [`saga::Plan::triggers`].
//!
//! # What is real and what is modelled
//!
//! The pure core is the product's code. The rest is the protocol around it: a durable consumer per step and one
//! for the owner, each shared by two workers; messages in any order, at least once; the ladder of a delivery
//! (take a state, decide, act, append under the guard, decide again, acknowledge); the journal's guard; the world
//! outside, with one outcome per key. Business is free: any step may be refused, and the deadline (first turn) and
//! a cancellation (second) may come at any time. A fault costs one of the budget: a worker dies between any two
//! instructions; a lease runs out and a second worker gets what the first is still on; an acknowledgement is late
//! or lost; an effect's answer is lost, or its request arrives after everybody stopped waiting; an append lands
//! and looks like a timeout, or looks like a timeout and lands later. A failed call is given back, scheduled as a
//! retry message, or is the last within its limits. Reading an old state is free: a worker may take any state
//! from its trigger's own on (carried, from a replica, from the leader), except where the protocol says leader.
//!
//! # What is checked
//!
//! After every step: see [`Wrong`]. At every state where nothing is left to do, the saga is final and the books
//! are right, without the help of a turn that may never come or of a late arrival.
//!
//! # What keeps it small
//!
//! None of these hides a behaviour; a test compares the first with and without.
//! - *What is over is forgotten.* Once a step (or the owner) owes nothing after the journal and after every
//!   journal that can follow, and its keys are final, whatever its workers and messages still do changes nothing
//!   that anybody else sees: calls return the answer of their key, appends meet a stale guard, and the answer to
//!   "decide again" is nothing. Its slice of the system is cleared.
//! - *Workers are alike*, so the two of a consumer are kept in order.
//! - *A guard is fresh or it is not.* Of the state that a worker decided on, only the decision and "is it still the
//!   last one" matter later, so one bit replaces the sequence.
//! - *Local instructions are joined*: decide with the load before it, acknowledge with the decision before it
//!   (a fault may still come between), for nobody else can tell when exactly they happen.
//! - *What may never arrive is left lying.* A late request or append is not lost by a transition of its own: the
//!   system must be right whether it ever arrives or not.
//!
//! # What is not covered
//!
//! More than one saga, shards, retention, `StepStuck` (it changes no step), an operator's `resolve`, and requests
//! to settle or undo that arrive late (an undo is owed until it is recorded and a settlement never hurts a key that
//! is final, so a slow worker stands for both).
//!
//! Reading order: [`Journals`] and [`Rules`] (the product's functions, looked up), [`World`], [`System`],
//! `mail`, `ladder`, `faults`, `checks`, [`search()`], [`Seed`] (bugs that must be found), `transcript`.

mod checks;
mod faults;
mod journal;
mod ladder;
mod mail;
mod moves;
mod places;
mod plans;
mod rules;
mod search;
mod seeds;
mod system;
mod table;
mod transcript;
mod world;

use anyhow::ensure;
use saga::{Dependency, Plan};

pub use checks::Wrong;
pub use journal::Journals;
pub use moves::{Failure, Move, Next, What};
pub use places::{EventIx, EventSet, JournalIx};
pub use plans::{chain, checkout};
pub use rules::{Debts, Rules};
pub use search::{Limits, Search, search};
pub use seeds::Seed;
pub use system::{Due, System, Timer, Trigger, Worker};
pub use transcript::Counterexample;
pub use world::{Key, World};

/// The steps of a saga that this model takes.
pub const STEPS: usize = 3;
/// The consumers: one per step, then the owner's.
pub const CONSUMERS: usize = STEPS + 1;
/// The owner's place among the consumers.
pub const OWNER: usize = STEPS;
/// Workers that share a consumer.
pub const WORKERS: usize = 2;
/// The most event types that a plan of this size has: four of the saga's own and three per step.
pub const EVENTS: usize = 4 + 3 * STEPS;

/// What to explore.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How many faults may happen on one path.
    pub faults: u8,
    /// How many turns from outside may come: none, the deadline, or the deadline and a cancellation.
    pub turns: u8,
    /// The bug to put in, if any.
    pub seed: Option<Seed>,
    /// Whether what is over is forgotten. A seeded protocol never forgets: the argument for it rests on the rules.
    pub forget: bool,
}

/// One saga under one configuration: all that the search asks.
#[derive(Debug)]
pub struct Model {
    config: Config,
    journals: Journals,
    rules: Rules,
    debts: Debts,
    hears: [EventSet; CONSUMERS],
    needs: [Vec<usize>; STEPS],
    dependents: [Vec<usize>; STEPS],
}

impl Config {
    /// The right protocol, within `faults` and `turns`.
    pub const fn clean(faults: u8, turns: u8) -> Self {
        Self {
            faults,
            turns,
            seed: None,
            forget: true,
        }
    }

    /// A protocol with a bug in it, within bounds that are wide enough to find it.
    pub const fn seeded(seed: Seed) -> Self {
        Self {
            faults: 2,
            turns: 1,
            seed: Some(seed),
            forget: false,
        }
    }
}

impl Model {
    /// Compiles the model of `plan`.
    ///
    /// # Errors
    /// When the plan has another size than [`STEPS`], or `config` more turns than there are.
    pub fn new(plan: Plan, config: Config) -> anyhow::Result<Self> {
        ensure!(
            config.turns <= 2,
            "there are two turns from outside: a deadline and a cancellation"
        );
        let journals = Journals::grow(plan)?;
        let right = Rules::new(&journals, None);
        let mut model = Self {
            config,
            rules: Rules::new(&journals, config.seed),
            debts: Debts::new(&journals, &right),
            hears: [EventSet::default(); CONSUMERS],
            needs: Default::default(),
            dependents: Default::default(),
            journals,
        };
        model.subscribe();
        Ok(model)
    }

    /// The journals of this saga.
    pub const fn journals(&self) -> &Journals {
        &self.journals
    }

    /// What is explored.
    pub const fn config(&self) -> Config {
        self.config
    }

    fn is_seeded(&self, seed: Seed) -> bool {
        self.config.seed == Some(seed)
    }

    /// The consumers' filters, as the product computes them.
    fn subscribe(&mut self) {
        let plan = self.journals.plan();
        let set = |names: Vec<saga::Token>| {
            names
                .iter()
                .filter_map(|n| self.journals.find(n))
                .fold(EventSet::default(), EventSet::with)
        };
        let mut hears = [EventSet::default(); CONSUMERS];
        for (ix, step) in plan.steps() {
            hears[ix.0] = set(plan.triggers(ix));
            if self.is_seeded(Seed::DeafToRefusals) {
                let refusals = set(plan.steps().map(|(_, other)| other.refused.clone()).collect());
                hears[ix.0] = hears[ix.0].minus(refusals);
            }
            self.dependents[ix.0] = step.dependents.iter().map(|d| d.0).collect();
            self.needs[ix.0] = step.after.iter().filter_map(needed).collect();
        }
        hears[OWNER] = set(plan.owner_triggers());
        self.hears = hears;
    }
}

fn needed(dependency: &Dependency) -> Option<usize> {
    match dependency {
        Dependency::Start => None,
        Dependency::Step(step) => Some(step.0),
    }
}
