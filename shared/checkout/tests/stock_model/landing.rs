//! What an answer does to a worker, and an append to the journal.

use checkout::stock::{Append, Ledger, Next, Observed, Write};

use super::{
    entity::{Chain, Entity, Node, guard, key},
    flaw::Flaw,
    task::{Life, Task},
    world::World,
};

impl World {
    /// Feeds an answer to a worker.
    pub fn answer(&mut self, i: usize, task: &Task, answer: Observed, flaw: Flaw) -> Result<(), String> {
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

    pub fn length(&self, append: &Append) -> Option<u64> {
        Some(self.entity(&key(append)).length())
    }

    /// The server's side of an append: the new length, or `None` where the guard is stale.
    pub fn land(&mut self, append: &Append, flaw: Flaw) -> Result<Option<u64>, String> {
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
