//! Who has to do what, and how far each has come.

use std::hash::{Hash, Hasher};

use checkout::stock::{Append, Key, Next, Observed, Operation, Outcome};

/// When a task may begin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    Always,
    /// The order's reservation is held: what the saga knows before it releases or ships.
    Held(Key),
}

/// One delivery of a trigger: who works, on what.
#[derive(Clone, Debug)]
pub struct Task {
    pub name: &'static str,
    /// Workers of one group have the same obligation: one of them has to come to the end.
    pub group: usize,
    pub gate: Gate,
    /// The decider of its operation.
    pub own: Key,
    /// The products that it may touch.
    pub products: Vec<Key>,
    pub start: Operation,
    pub first: Next,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    Running,
    Done(Outcome),
}

#[derive(Clone, Debug)]
pub struct Worker {
    pub operation: Operation,
    pub next: Next,
    pub life: Life,
    /// What a flawed worker remembers: its decider as it was before, or an append that it put off.
    pub remembered: Option<Observed>,
    pub put_off: Option<Append>,
}

impl Hash for Worker {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.life.hash(state);
        if self.life == Life::Running {
            (&self.operation, &self.remembered, &self.put_off).hash(state);
        }
    }
}

/// How many faults may still happen.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Faults {
    /// Workers that begin anew.
    pub restarts: u8,
    /// Appends of which nobody knows; they land later, or never.
    pub unknowns: u8,
    /// Whether reads that need not come from the leader may lag by an event.
    pub stale: bool,
}

impl Worker {
    pub fn new(task: &Task) -> Self {
        Self {
            operation: task.start.clone(),
            next: task.first.clone(),
            life: Life::Running,
            remembered: None,
            put_off: None,
        }
    }
}

impl Task {
    pub fn new(name: &'static str, takes: &str, group: usize, gate: Gate, start: Operation) -> Self {
        let products = takes
            .chars()
            .map(|c| Key::Product(c.to_string().parse().expect("a token")))
            .collect();
        let first = start.clone().next(Observed::Nothing);
        let (what, id) = name.split_once(' ').expect("a verb and an id");
        let id = id.parse().expect("a token");
        let own = if what == "adjust" {
            Key::Adjustment(id)
        } else {
            Key::Reservation(id)
        };
        Self {
            name,
            group,
            gate,
            own,
            products,
            start,
            first,
        }
    }
}
