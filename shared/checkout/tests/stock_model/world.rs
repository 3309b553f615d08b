//! The journal, the workers and everything that can go wrong between them, as a value.
//!
//! The workers are `checkout::stock::Operation`, the code that the inventory worker runs. A move of the world
//! is one load or one append of one worker, or a fault.

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    ops::Deref,
    rc::Rc,
};

use checkout::stock::{
    Adjustment, AdjustmentStatus, Append, Key, Ledger, Next, Observed, Operation, Outcome, Product,
    Reservation, ReservationStatus, Seen, Source, Write,
};

use super::{audit::Audit, flaw::Flaw};

/// A shared value that knows its hash.
#[derive(Clone, Debug)]
pub struct Node<T>(Rc<(u64, T)>);

impl<T: Hash> Node<T> {
    pub fn new(value: T) -> Self {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Self(Rc::new((hasher.finish(), value)))
    }
    pub fn hash(&self) -> u64 {
        self.0.0
    }
}

impl<T> Deref for Node<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.1
    }
}

/// One entity's chain: how many events, the state after the last, and the one before it for stale reads.
#[derive(Clone, Debug, Hash)]
pub struct Chain<E> {
    pub length: u64,
    pub last: Option<E>,
    pub previous: Option<E>,
}

impl<E: Ledger> Chain<E> {
    fn empty() -> Self {
        Self {
            length: 0,
            last: None,
            previous: None,
        }
    }
    fn seen(&self) -> Option<Seen<E>> {
        let sequence = self.length;
        self.last.clone().map(|state| Seen { state, sequence })
    }
    fn stale(&self) -> Option<Seen<E>> {
        let sequence = self.length.saturating_sub(1);
        self.previous.clone().map(|state| Seen { state, sequence })
    }
    fn extended(&self, state: E) -> Self {
        Self {
            length: self.length + 1,
            last: Some(state),
            previous: self.last.clone(),
        }
    }
}

#[derive(Clone, Debug, Hash)]
pub enum Entity {
    Product(Chain<Product>),
    Reservation(Chain<Reservation>),
    Adjustment(Chain<Adjustment>),
}

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

#[derive(Clone)]
pub struct World {
    keys: Rc<[Key]>,
    entities: Vec<Node<Entity>>,
    pub workers: Vec<Node<Worker>>,
    pub delayed: Vec<Node<Append>>,
    pub audit: Node<Audit>,
    pub faults: Faults,
}

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
    pub fn new(tasks: &[Task], entities: BTreeMap<Key, Entity>, faults: Faults) -> Self {
        let stock = entities.iter().filter_map(|(key, entity)| match (key, entity) {
            (Key::Product(sku), Entity::Product(chain)) => {
                Some((sku.clone(), chain.last.as_ref().map_or(0, |p| p.on_hand)))
            }
            _ => None,
        });
        Self {
            audit: Node::new(Audit::new(stock.collect())),
            workers: tasks.iter().map(|t| Node::new(Worker::new(t))).collect(),
            keys: entities.keys().cloned().collect(),
            entities: entities.into_values().map(Node::new).collect(),
            delayed: Vec::new(),
            faults,
        }
    }

    /// One number for the whole world; worlds that differ only in which of two equal workers is which have
    /// the same one.
    pub fn fingerprint(&self, tasks: &[Task]) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.entities.iter().for_each(|e| e.hash().hash(&mut hasher));
        let mut workers: Vec<_> = self
            .workers
            .iter()
            .zip(tasks)
            .map(|(w, t)| (t.name, w.hash()))
            .collect();
        workers.sort_unstable();
        let mut delayed: Vec<_> = self.delayed.iter().map(Node::hash).collect();
        delayed.sort_unstable();
        (workers, delayed, self.audit.hash(), self.faults).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether every handler has caught up: of each group somebody came to the end. The others may have died
    /// wherever they are, or go on as zombies.
    pub fn at_rest(&self, tasks: &[Task]) -> bool {
        let done = |group| {
            (0..tasks.len()).any(|j| tasks[j].group == group && matches!(self.workers[j].life, Life::Done(_)))
        };
        tasks
            .iter()
            .all(|task| !self.is_open(&task.gate) || done(task.group))
    }

    /// What workers are about to append, and what they were told.
    pub fn happening(&self, happened: &mut BTreeSet<&'static str>) {
        happened.extend(self.workers.iter().filter_map(|worker| match &worker.next {
            Next::Append(Append::Product(w)) => Some(w.event_type()),
            Next::Append(Append::Reservation(w)) => Some(w.event_type()),
            Next::Append(Append::Adjustment(w)) => Some(w.event_type()),
            Next::Done(Outcome::Held) => Some("held"),
            Next::Done(Outcome::Refused { .. }) => Some("refused"),
            Next::Done(Outcome::Forbidden) => Some("forbidden"),
            Next::Done(Outcome::Released) => Some("released"),
            Next::Done(Outcome::Shipped) => Some("shipped"),
            Next::Done(Outcome::Absent) => Some("absent"),
            Next::Done(Outcome::Adjusted { .. }) => Some("adjusted"),
            Next::Done(Outcome::NotAdjusted { .. }) => Some("not adjusted"),
            Next::Load { .. } | Next::Broken(_) => None,
        }));
        let settled = self.workers.iter().filter_map(|worker| match &worker.next {
            Next::Append(Append::Product(w)) => Some(&w.payload.settled),
            _ => None,
        });
        let words = settled.flatten().map(|s| {
            if s.withdrawn {
                "withdrawn by others"
            } else {
                "dropped"
            }
        });
        happened.extend(words);
    }

    pub fn ended(&self, tasks: &[Task]) -> bool {
        let workers = self.workers.iter().zip(tasks);
        workers
            .into_iter()
            .all(|(w, t)| w.life != Life::Running || !self.is_open(&t.gate))
    }

    /// Every entity and its key.
    pub fn entities(&self) -> impl Iterator<Item = (&Key, &Entity)> {
        self.keys.iter().zip(self.entities.iter().map(|node| &**node))
    }

    fn entity(&self, key: &Key) -> &Entity {
        &self.entities[self.at(key)]
    }

    fn find(&self, key: &Key) -> Option<&Entity> {
        self.entities().find(|(k, _)| *k == key).map(|(_, entity)| entity)
    }

    fn at(&self, key: &Key) -> usize {
        self.keys
            .iter()
            .position(|k| k == key)
            .expect("an entity of the scenario")
    }

    pub fn reservation(&self, key: &Key) -> Option<&Reservation> {
        match self.find(key)? {
            Entity::Reservation(chain) => chain.last.as_ref(),
            Entity::Product(_) | Entity::Adjustment(_) => None,
        }
    }

    pub fn adjustment(&self, key: &Key) -> Option<&Adjustment> {
        match self.find(key)? {
            Entity::Adjustment(chain) => chain.last.as_ref(),
            Entity::Product(_) | Entity::Reservation(_) => None,
        }
    }

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

    pub fn is_open(&self, gate: &Gate) -> bool {
        match gate {
            Gate::Always => true,
            Gate::Held(key) => self.reservation(key).is_some(),
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
        let late = self
            .delayed
            .iter()
            .any(|append| super::world::key(append) == *key);
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

    pub fn with_worker(&self, i: usize, worker: Worker) -> Self {
        let mut world = self.clone();
        world.workers[i] = Node::new(worker);
        world
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
    pub fn read(&self, key: &Key) -> (Observed, Observed) {
        match self.entity(key) {
            Entity::Product(c) => (Observed::Product(c.seen()), Observed::Product(c.stale())),
            Entity::Reservation(c) => (Observed::Reservation(c.seen()), Observed::Reservation(c.stale())),
            Entity::Adjustment(c) => (Observed::Adjustment(c.seen()), Observed::Adjustment(c.stale())),
        }
    }

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

    /// Feeds an answer to a worker.
    fn answer(&mut self, i: usize, task: &Task, answer: Observed, flaw: Flaw) -> Result<(), String> {
        let mut worker = (*self.workers[i]).clone();
        flaw.remember(self, task, &mut worker, &answer);
        worker.next = worker.operation.next(answer);
        match &worker.next {
            Next::Broken(why) => return Err(format!("a worker finds the journal broken: {why}")),
            Next::Done(outcome) => {
                worker.life = Life::Done(outcome.clone());
                if let Some(append) = worker.put_off.take() {
                    self.land(&append, flaw)?;
                }
            }
            Next::Load { .. } | Next::Append(_) => {}
        }
        self.workers[i] = Node::new(worker);
        let mut delayed = std::mem::take(&mut self.delayed);
        delayed.retain(|append| self.entity(&key(append)).length() == guard(append) || flaw == Flaw::NoGuard);
        self.delayed = delayed;
        Ok(())
    }

    fn length(&self, append: &Append) -> Option<u64> {
        Some(self.entity(&key(append)).length())
    }

    /// The server's side of an append: the new length, or `None` where the guard is stale.
    fn land(&mut self, append: &Append, flaw: Flaw) -> Result<Option<u64>, String> {
        let entity = self.entity(&key(append)).clone();
        let (landed, entity) = match (append, entity) {
            (Append::Product(write), Entity::Product(chain)) => {
                let (landed, chain) = extend(chain, write, flaw)?;
                (landed, Entity::Product(chain))
            }
            (Append::Reservation(write), Entity::Reservation(chain)) => {
                let (landed, chain) = extend(chain, write, flaw)?;
                (landed, Entity::Reservation(chain))
            }
            (Append::Adjustment(write), Entity::Adjustment(chain)) => {
                let (landed, chain) = extend(chain, write, flaw)?;
                (landed, Entity::Adjustment(chain))
            }
            (_, other) => return Err(format!("{append:?} is no append to {other:?}")),
        };
        if landed.is_some() {
            if let Append::Product(write) = append {
                self.audit = Node::new(self.audit.after(write)?);
            }
            let at = self.at(&key(append));
            self.entities[at] = Node::new(entity);
        }
        Ok(landed)
    }
}

impl Worker {
    fn new(task: &Task) -> Self {
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

impl Entity {
    pub fn product(on_hand: u64) -> Self {
        let last = (on_hand > 0).then(|| Product {
            on_hand,
            ..Product::default()
        });
        Self::Product(Chain {
            length: on_hand.min(1),
            last,
            previous: None,
        })
    }
    pub fn reservation() -> Self {
        Self::Reservation(Chain::empty())
    }
    pub fn adjustment() -> Self {
        Self::Adjustment(Chain::empty())
    }
    pub fn length(&self) -> u64 {
        match self {
            Self::Product(c) => c.length,
            Self::Reservation(c) => c.length,
            Self::Adjustment(c) => c.length,
        }
    }
}

fn extend<E: Ledger>(
    chain: Chain<E>,
    write: &Write<E>,
    flaw: Flaw,
) -> Result<(Option<u64>, Chain<E>), String> {
    if write.guard != chain.length && flaw != Flaw::NoGuard {
        return Ok((None, chain));
    }
    if write.before != chain.last && !flaw.lies() {
        return Err(format!("{write:?} does not rest on {:?}", chain.last));
    }
    let state = write
        .after()
        .map_err(|why| format!("{}: {why}", write.event_type()))?;
    let chain = chain.extended(state);
    Ok((Some(chain.length), chain))
}

pub fn key(append: &Append) -> Key {
    match append {
        Append::Product(w) => Key::Product(w.id.clone()),
        Append::Reservation(w) => Key::Reservation(w.id.clone()),
        Append::Adjustment(w) => Key::Adjustment(w.id.clone()),
    }
}

fn guard(append: &Append) -> u64 {
    match append {
        Append::Product(w) => w.guard,
        Append::Reservation(w) => w.guard,
        Append::Adjustment(w) => w.guard,
    }
}

pub fn name(append: &Append) -> String {
    match append {
        Append::Product(w) => format!("{} {} {:?}", w.event_type(), w.id, w.payload),
        Append::Reservation(w) => format!("{} {}", w.event_type(), w.id),
        Append::Adjustment(w) => format!("{} {}", w.event_type(), w.id),
    }
}
