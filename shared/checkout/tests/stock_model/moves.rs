//! What can happen next: one load or one append of one worker, or a fault.

use checkout::stock::{AdjustmentStatus, Append, Key, Next, Observed, ReservationStatus, Source};

use super::{
    entity::{Entity, Node, guard, key as written_by, name},
    flaw::Flaw,
    task::{Gate, Life, Task, Worker},
    world::World,
};

/// A move of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A worker loads what it asked for, with this answer of those possible.
    Loads(usize, usize),
    /// A worker appends, and is told what became of it.
    Appends(usize),
    /// A worker appends, and nobody knows.
    Loses(usize),
    /// A worker dies, and its trigger is delivered again.
    BeginsAnew(usize),
    /// A late append arrives.
    Arrives(usize),
}

/// A move, and the world after it or what it broke.
pub type Step = (Turn, Result<World, String>);

impl World {
    /// Every move that can be made, faults included.
    pub fn moves(&self, tasks: &[Task], flaw: Flaw) -> Vec<Step> {
        let mut moves = Vec::new();
        let open = |i: &usize| self.workers[*i].life == Life::Running && self.is_open(&tasks[*i].gate);
        let constant = |i: &usize| match &self.workers[*i].next {
            Next::Load { key, .. } => self.is_constant(*i, key, tasks),
            Next::Append(_) | Next::Done(_) | Next::Broken(_) => false,
        };
        if let (Flaw::None, Some(i)) = (flaw, (0..tasks.len()).filter(open).find(constant)) {
            self.work(i, &tasks[i], flaw, &mut moves);
            return moves;
        }
        for i in (0..tasks.len()).filter(open) {
            self.work(i, &tasks[i], flaw, &mut moves);
            self.begin_anew(i, &tasks[i], &mut moves);
        }
        for i in 0..self.delayed.len() {
            let mut world = self.clone();
            let append = world.delayed.remove(i);
            let landed = world.land(&append, flaw);
            if !matches!(landed, Ok(None)) {
                moves.push((Turn::Arrives(i), landed.map(|_| world)));
            }
        }
        moves
    }

    /// A move in words, as seen before it.
    pub fn tell(&self, turn: Turn, tasks: &[Task]) -> String {
        let appended = |i: usize| match &self.workers[i].next {
            Next::Append(append) => name(append),
            other => format!("{other:?}"),
        };
        match turn {
            Turn::Loads(i, n) => format!(
                "{} ({i}) loads, answer {n}: {:?}",
                tasks[i].name, self.workers[i].next
            ),
            Turn::Appends(i) => format!("{} ({i}) appends {}", tasks[i].name, appended(i)),
            Turn::Loses(i) => format!("{} ({i}) appends {}, nobody knows", tasks[i].name, appended(i)),
            Turn::BeginsAnew(i) => format!("{} ({i}) begins anew", tasks[i].name),
            Turn::Arrives(i) => format!("late: {}", name(&self.delayed[i])),
        }
    }

    /// A worker dies, and its trigger is delivered again. (To die for good is to make no move any more.)
    fn begin_anew(&self, i: usize, task: &Task, moves: &mut Vec<Step>) {
        if self.faults.restarts > 0 && self.workers[i].operation != task.start {
            let mut world = self.with_worker(i, Worker::new(task));
            world.faults.restarts -= 1;
            moves.push((Turn::BeginsAnew(i), Ok(world)));
        }
    }

    /// Whether a load of `key` by worker `i` gives the same answers whenever it is made: then it is made now,
    /// before anything else (a partial order reduction; loads change nothing but the worker).
    fn is_constant(&self, i: usize, key: &Key, tasks: &[Task]) -> bool {
        let others = || (0..tasks.len()).filter(|j| *j != i && self.workers[*j].life == Life::Running);
        let late = self.delayed.iter().any(|append| written_by(append) == *key);
        let written = match self.entity(key) {
            Entity::Reservation(c) => match c.last.as_ref().map(|r| r.status) {
                None => true,
                Some(ReservationStatus::Held) => {
                    tasks.iter().any(|t| t.own == *key && t.gate != Gate::Always)
                }
                Some(_) => false,
            },
            Entity::Adjustment(c) => c
                .last
                .as_ref()
                .is_none_or(|a| a.status == AdjustmentStatus::Requested),
            Entity::Product(_) => others().any(|j| tasks[j].products.contains(key)),
        };
        !written && !late
    }

    fn work(&self, i: usize, task: &Task, flaw: Flaw, moves: &mut Vec<Step>) {
        let worker = &self.workers[i];
        match &worker.next {
            Next::Load { key, from } => {
                for (n, answer) in self.answers(worker, key, *from, flaw).into_iter().enumerate() {
                    let mut world = self.clone();
                    let step = world.answer(i, task, answer, flaw);
                    moves.push((Turn::Loads(i, n), step.map(|()| world)));
                }
            }
            Next::Append(append) => self.append(i, task, append, flaw, moves),
            Next::Done(_) | Next::Broken(_) => {}
        }
    }

    /// What a load can answer: the last event, and the one before it where that is allowed.
    fn answers(&self, worker: &Worker, key: &Key, from: Source, flaw: Flaw) -> Vec<Observed> {
        let (last, stale) = self.read(key);
        if let Some(distorted) = flaw.distort(worker, key, &last) {
            return vec![distorted];
        }
        let lags = self.faults.stale && from == Source::Anywhere || flaw.lags(worker, key, from);
        if lags && last != stale {
            return vec![last, stale];
        }
        vec![last]
    }

    fn append(&self, i: usize, task: &Task, append: &Append, flaw: Flaw, moves: &mut Vec<Step>) {
        let mut world = self.clone();
        if let Some(answer) = flaw.swallow(append) {
            let step = world.put_off(i, task, append, flaw, answer);
            moves.push((Turn::Appends(i), step.map(|()| world)));
            return;
        }
        let step = world.land(append, flaw).and_then(|landed| {
            let conflict = if flaw == Flaw::ConflictIsSuccess {
                world.length(append)
            } else {
                None
            };
            let answer = landed.or(conflict).map_or(Observed::Conflict, Observed::Appended);
            world.answer(i, task, answer, flaw)
        });
        moves.push((Turn::Appends(i), step.map(|()| world)));
        if self.faults.unknowns > 0 {
            let mut world = self.clone();
            world.faults.unknowns -= 1;
            world.delayed.push(Node::new(append.clone()));
            let answer = if flaw == Flaw::UnknownIsSuccess {
                Observed::Appended(guard(append) + 1)
            } else {
                Observed::Unknown
            };
            let step = world.answer(i, task, answer, flaw);
            moves.push((Turn::Loses(i), step.map(|()| world)));
        }
    }

    fn put_off(
        &mut self,
        i: usize,
        task: &Task,
        append: &Append,
        flaw: Flaw,
        answer: Observed,
    ) -> Result<(), String> {
        if flaw == Flaw::WithdrawsFirst {
            let put_off = Some(append.clone());
            *self = self.with_worker(
                i,
                Worker {
                    put_off,
                    ..(*self.workers[i]).clone()
                },
            );
        }
        self.answer(i, task, answer, flaw)
    }
}
