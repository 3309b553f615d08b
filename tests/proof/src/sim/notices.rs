use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::bail;
use engine::{Handler, Heard, Worker};
use saga::EventId;
use tokio::time::sleep;

use super::{Fault, Memory};

/// Whom was told of what, and how often: the ledger of a plain handler. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Notices {
    memory: Memory,
    sent: Arc<Mutex<BTreeMap<EventId, u32>>>,
}

impl Notices {
    /// Nothing was told yet.
    pub fn new(memory: Memory) -> Self {
        Self {
            memory,
            sent: Arc::default(),
        }
    }

    /// How often an event was told.
    pub fn times(&self, event: EventId) -> u32 {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.get(&event).copied().unwrap_or(0)
    }

    /// The worker that tells of these.
    ///
    /// # Errors
    /// When a name is no token.
    pub fn worker(self) -> anyhow::Result<Worker> {
        let types = ["OrderCreated", "OrderShipped", "OrderCancelled"];
        Ok(Worker::new("notifier").handler("notifier", "checkout", &types, self)?)
    }
}

impl Handler for Notices {
    async fn handle(&self, heard: &Heard) -> anyhow::Result<()> {
        let pause = self.memory.throw(|dice| dice.millis(0, 20));
        sleep(pause).await;
        if self.memory.strikes(Fault::EffectFailed) {
            bail!("the mail is down");
        }
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        *sent.entry(heard.event.event_id).or_default() += 1;
        Ok(())
    }
}
