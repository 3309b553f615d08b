//! The journal and the workers at one moment, as a value.
//!
//! The workers are `checkout::stock::Operation`, the code that the inventory worker runs.

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    rc::Rc,
};

use checkout::stock::{Adjustment, Append, Key, Next, Observed, Outcome, Reservation};

use super::{
    audit::Audit,
    entity::{Entity, Node},
    task::{Faults, Gate, Life, Task, Worker},
};

#[derive(Clone)]
pub struct World {
    keys: Rc<[Key]>,
    pub entities: Vec<Node<Entity>>,
    pub workers: Vec<Node<Worker>>,
    pub delayed: Vec<Node<Append>>,
    pub audit: Node<Audit>,
    pub faults: Faults,
}

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

    pub fn entity(&self, key: &Key) -> &Entity {
        &self.entities[self.at(key)]
    }

    pub fn find(&self, key: &Key) -> Option<&Entity> {
        self.entities().find(|(k, _)| *k == key).map(|(_, entity)| entity)
    }

    pub fn at(&self, key: &Key) -> usize {
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

    /// The last event of an entity, and the one before it.
    pub fn read(&self, key: &Key) -> (Observed, Observed) {
        match self.entity(key) {
            Entity::Product(c) => (Observed::Product(c.seen()), Observed::Product(c.stale())),
            Entity::Reservation(c) => (Observed::Reservation(c.seen()), Observed::Reservation(c.stale())),
            Entity::Adjustment(c) => (Observed::Adjustment(c.seen()), Observed::Adjustment(c.stale())),
        }
    }

    pub fn is_open(&self, gate: &Gate) -> bool {
        match gate {
            Gate::Always => true,
            Gate::Held(key) => self.reservation(key).is_some(),
        }
    }

    pub fn with_worker(&self, i: usize, worker: Worker) -> Self {
        let mut world = self.clone();
        world.workers[i] = Node::new(worker);
        world
    }
}
