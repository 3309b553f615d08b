use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jetsaga::Token;
use tokio::{sync::oneshot, time::Instant};

/// Whose turn it is on each product, within this process. The guard alone keeps stock right; taking turns only spares
/// the operations of one process the conflicts with each other.
///
/// A turn is on all products of an operation at once: nobody holds one while waiting for another, or a chain of waiting
/// orders would leave most products idle.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<Queue>);

/// The turn on some products. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    products: Vec<Token>,
    turns: Arc<Turns>,
}

#[derive(Debug, Default)]
struct Queue {
    taken: HashSet<Token>,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    products: Vec<Token>,
    since: Instant,
    told: oneshot::Sender<Turn>,
}

/// Who has waited for so long lets nobody overtake on the products that it waits for.
const PATIENCE: Duration = Duration::from_millis(500);

impl Turns {
    /// Waits for the turn on all of these products.
    pub(crate) async fn take(self: &Arc<Self>, products: impl Iterator<Item = &Token>) -> Option<Turn> {
        let (told, turn) = oneshot::channel();
        self.queue().waiting.push_back(Waiting {
            products: products.cloned().collect(),
            since: Instant::now(),
            told,
        });
        self.go_on();
        turn.await.ok()
    }

    /// Tells everybody whose turn it is now.
    fn go_on(self: &Arc<Self>) {
        let told = self.queue().next();
        for waiting in told {
            let turn = Turn {
                products: waiting.products,
                turns: self.clone(),
            };
            // Who no longer waits gives the turn back at once, for this ends it.
            drop(waiting.told.send(turn));
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Takes out, and counts as taken, everybody whose products are all free, the oldest first.
    fn next(&mut self) -> Vec<Waiting> {
        let mut kept: HashSet<Token> = HashSet::new();
        let (mut told, mut left) = (Vec::new(), VecDeque::with_capacity(self.waiting.len()));
        for waiting in self.waiting.drain(..) {
            let free = |sku: &Token| !self.taken.contains(sku) && !kept.contains(sku);
            if waiting.products.iter().all(free) {
                self.taken.extend(waiting.products.iter().cloned());
                told.push(waiting);
            } else {
                if waiting.since.elapsed() > PATIENCE {
                    kept.extend(waiting.products.iter().cloned());
                }
                left.push_back(waiting);
            }
        }
        self.waiting = left;
        told
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queue = self.turns.queue();
        for sku in &self.products {
            queue.taken.remove(sku);
        }
        drop(queue);
        self.turns.go_on();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skus(names: &str) -> Vec<Token> {
        names.split(' ').map(|name| Token::new(name).unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_holds_a_product_while_waiting_for_another() {
        let turns = Arc::new(Turns::default());
        let first = turns.take(skus("A B").iter()).await.unwrap();
        let wanted = skus("B C");
        let mut second = Box::pin(turns.take(wanted.iter()));
        assert!(now(&mut second).await.is_none(), "B is taken");
        let third = turns.take(skus("C D").iter()).await.unwrap();
        drop(first);
        assert!(now(&mut second).await.is_none(), "and so is C");
        drop(third);
        assert!(second.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_for_long_is_not_overtaken() {
        let turns = Arc::new(Turns::default());
        let first = turns.take(skus("A").iter()).await.unwrap();
        let wanted = skus("A B");
        let mut second = Box::pin(turns.take(wanted.iter()));
        assert!(now(&mut second).await.is_none());
        drop(turns.take(skus("B").iter()).await.unwrap());
        tokio::time::sleep(2 * PATIENCE).await;
        let late = skus("B");
        let mut third = Box::pin(turns.take(late.iter()));
        assert!(now(&mut third).await.is_none(), "B is kept for who waits longer");
        drop(first);
        drop(second.await.unwrap());
        assert!(third.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_takes_nothing_along() {
        let turns = Arc::new(Turns::default());
        let first = turns.take(skus("A").iter()).await.unwrap();
        let wanted = skus("A B");
        let mut second = Box::pin(turns.take(wanted.iter()));
        assert!(now(&mut second).await.is_none());
        drop(second);
        drop(first);
        assert!(turns.take(skus("A B").iter()).await.is_some());
    }

    /// What a future comes to without waiting.
    async fn now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        tokio::time::timeout(Duration::ZERO, future).await.ok()
    }
}
