use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jetsaga::Token;
use tokio::sync::OwnedMutexGuard;

/// Whose turn it is on each product, within this process. The guard alone keeps stock right; taking turns only spares
/// the operations of one process the conflicts with each other.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<Token, Arc<tokio::sync::Mutex<()>>>>);

/// Products remembered at most; beyond it those that nobody waits for are forgotten.
const PRODUCTS: usize = 8192;

impl Turns {
    /// Waits for the turn on all of these products, which come in the order of names, so that no two wait for each
    /// other. The turn ends when what comes back is dropped.
    pub(crate) async fn take(&self, products: impl Iterator<Item = &Token>) -> Vec<OwnedMutexGuard<()>> {
        let queues: Vec<_> = products.map(|sku| self.queue(sku)).collect();
        let mut turn = Vec::with_capacity(queues.len());
        for queue in queues {
            turn.push(queue.lock_owned().await);
        }
        turn
    }

    fn queue(&self, sku: &Token) -> Arc<tokio::sync::Mutex<()>> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.len() >= PRODUCTS {
            queues.retain(|_, queue| Arc::strong_count(queue) > 1);
        }
        queues.entry(sku.clone()).or_default().clone()
    }
}
