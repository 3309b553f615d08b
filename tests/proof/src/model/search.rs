use std::{
    fmt,
    time::{Duration, Instant},
};

use saga::Status;

use super::{
    Counterexample, Model, System, Wrong,
    table::{Table, fingerprint},
};

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most systems to look at.
    pub states: usize,
    /// The most memory to use, in bytes.
    pub memory: usize,
}

/// What a search found.
#[derive(Debug)]
pub struct Search {
    /// Different systems.
    pub states: usize,
    /// Moves between them.
    pub moves: u64,
    /// Moves on the longest of the shortest paths.
    pub depth: usize,
    /// Quiet systems that ended completed.
    pub completed: u64,
    /// Quiet systems that ended cancelled.
    pub cancelled: u64,
    /// Which journals came up, by place.
    pub journals: Vec<bool>,
    /// Bytes used at the widest.
    pub memory: usize,
    /// How long it took.
    pub took: Duration,
    /// True if a limit ended it.
    pub cut: bool,
    /// A shortest way to a broken promise, if there is one.
    pub found: Option<Counterexample>,
}

/// Looks at every system that `model` can reach, those that take fewest moves first, until a promise is broken or a
/// limit is reached.
pub fn search(model: &Model, limits: Limits) -> Search {
    let mut explorer = Explorer::new(model);
    let mut frontier = vec![System::start(model)];
    let mut broken = explorer.meet(&frontier[0], 0);
    while broken.is_none() && !frontier.is_empty() && !explorer.is_over(limits) {
        (frontier, broken) = explorer.widen(&frontier);
    }
    explorer.report.cut = broken.is_none() && !frontier.is_empty();
    explorer.finish(broken)
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.found.is_some() {
            "FOUND"
        } else if self.cut {
            "CUT, clean so far"
        } else {
            "CLEAN"
        };
        let Self {
            states,
            moves,
            depth,
            completed,
            cancelled,
            took,
            ..
        } = self;
        write!(f, "{word} after {states} states, {moves} moves, depth {depth}, ")?;
        write!(
            f,
            "{completed} + {cancelled} quiet endings, {took:.1?}, {} MiB",
            self.memory >> 20
        )
    }
}

struct Explorer<'m> {
    model: &'m Model,
    seen: Table,
    started: Instant,
    report: Search,
}

impl<'m> Explorer<'m> {
    fn new(model: &'m Model) -> Self {
        let report = Search {
            states: 0,
            moves: 0,
            depth: 0,
            completed: 0,
            cancelled: 0,
            journals: vec![false; model.journals().all().count()],
            memory: 0,
            took: Duration::ZERO,
            cut: false,
            found: None,
        };
        Self {
            model,
            seen: Table::new(),
            started: Instant::now(),
            report,
        }
    }

    /// One level more: everything new that is one move away.
    fn widen(&mut self, frontier: &[System]) -> (Vec<System>, Option<(u64, Wrong)>) {
        let mut next = Vec::new();
        for system in frontier {
            let parent = fingerprint(system);
            for (_, to) in self.model.moves(system) {
                self.report.moves += 1;
                let key = fingerprint(&to);
                if self.seen.insert(key, parent) {
                    if let Some(wrong) = self.look(&to) {
                        return (next, Some((key, wrong)));
                    }
                    next.push(to);
                }
            }
        }
        self.report.depth += usize::from(!next.is_empty());
        let systems = (frontier.len() + next.capacity()) * size_of::<System>();
        self.report.memory = self.report.memory.max(self.seen.bytes() + systems);
        (next, None)
    }

    fn meet(&mut self, system: &System, parent: u64) -> Option<(u64, Wrong)> {
        let key = fingerprint(system);
        self.seen.insert(key, parent);
        self.look(system).map(|wrong| (key, wrong))
    }

    fn look(&mut self, system: &System) -> Option<Wrong> {
        self.report.journals[system.head.index()] = true;
        if self.model.is_quiet(system) {
            match self.model.journals().state(system.head).status {
                Status::Completed => self.report.completed += 1,
                Status::Cancelled => self.report.cancelled += 1,
                Status::Running | Status::Compensating => {}
            }
        }
        self.model.judge(system)
    }

    fn is_over(&self, limits: Limits) -> bool {
        self.seen.len() >= limits.states || self.report.memory >= limits.memory
    }

    fn finish(mut self, broken: Option<(u64, Wrong)>) -> Search {
        self.report.states = self.seen.len();
        self.report.took = self.started.elapsed();
        self.report.found = broken.map(|(key, wrong)| Counterexample {
            wrong,
            path: self.replay(key),
        });
        self.report.depth += usize::from(self.report.found.is_some());
        self.report
    }

    /// The moves from the start to the system with this fingerprint.
    fn replay(&self, to: u64) -> Vec<(super::Move, System)> {
        let start = System::start(self.model);
        let first = fingerprint(&start);
        let mut keys = vec![to];
        while let Some(last) = keys.last().copied().filter(|key| *key != first) {
            keys.push(self.seen.parent(last));
        }
        let mut at = start;
        let mut path = Vec::new();
        for key in keys.into_iter().rev().skip(1) {
            let step = self
                .model
                .moves(&at)
                .into_iter()
                .find(|(_, to)| fingerprint(to) == key);
            let Some(step) = step else { break };
            at = step.1;
            path.push(step);
        }
        path
    }
}
