use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use engine::faults::Script;
use jetsaga::Retry;
use tokio::time::{Instant, sleep};

use super::{Board, Scenario};
use crate::harness::{Role, Running, System, until};

/// How long a message rests after its worker has died: the tests wait for it again and again.
pub const ACK_WAIT: Duration = Duration::from_secs(1);
/// Pieces of each product in stock at first.
pub const IN_STOCK: u64 = 1_000_000;
/// Pairs of products.
pub const SHELVES: usize = 16;
/// How long an order may take: longer than the slowest way to go with two blows on it.
const DEADLINE: Duration = Duration::from_secs(6);
/// Three attempts, spaced by scheduled messages.
const RETRY: Retry = Retry {
    first: Duration::from_millis(1100),
    max: Duration::from_millis(1200),
    limit: 3,
};

/// A system whose workers do what a [`Board`] says.
pub struct Stage {
    /// The system.
    pub system: System,
    /// What happens to whom.
    pub board: Arc<Board>,
    orders: AtomicUsize,
    sagas: Mutex<Vec<String>>,
    forged: Mutex<Vec<String>>,
    _workers: Vec<Running>,
}

impl Stage {
    /// Starts one worker of each role.
    ///
    /// # Errors
    /// When one cannot be started.
    pub async fn new() -> Result<Self> {
        let mut system = System::bare().await?;
        system.order_deadline = DEADLINE;
        for shelf in 0..SHELVES {
            for sku in skus(shelf) {
                system.stock(&sku, i64::try_from(IN_STOCK)?).await?;
            }
        }
        let board = Arc::new(Board::default());
        let mut workers = Vec::new();
        for role in [
            Role::Order,
            Role::Payment,
            Role::Inventory,
            Role::Shipping,
            Role::Notifier,
        ] {
            workers.push(start(&system, role, board.clone()).await?);
        }
        Ok(Self {
            system,
            board,
            orders: AtomicUsize::new(0),
            sagas: Mutex::default(),
            forged: Mutex::default(),
            _workers: workers,
        })
    }

    /// An id that no order has had.
    pub fn id(&self) -> String {
        format!("ORD-{}", self.orders.fetch_add(1, Ordering::Relaxed))
    }

    /// Publishes what belongs to `scenario` for the order `id`, each message once the saga of an order before it has begun,
    /// and waits until that has ended.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn play(&self, scenario: &Scenario, id: &str) -> Result<()> {
        let kind = if scenario.has_saga {
            &self.sagas
        } else {
            &self.forged
        };
        kind.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(id.to_owned());
        for (subject, body) in (scenario.messages)(id) {
            self.system.publish(&subject, on_its_shelf(body, id)).await?;
            if scenario.has_saga && subject.ends_with(".OrderCreated") {
                self.system.until(id, "let in", |_| true).await?;
            }
        }
        if scenario.has_saga {
            self.system.until_final(id).await?;
        }
        Ok(())
    }

    /// Waits until every blow on this order has fallen, or until none can any more: what is left of an order that has ended
    /// is a message or two that rest and come again. True if all have fallen.
    pub async fn struck(&self, id: &str) -> bool {
        let limit = Instant::now() + 3 * ACK_WAIT;
        while !self.board.has_struck(id) && Instant::now() < limit {
            sleep(ACK_WAIT / 20).await;
        }
        self.board.has_struck(id)
    }

    /// Every order that was played and has a saga.
    pub fn sagas(&self) -> Vec<String> {
        self.sagas.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every order that was played and has none.
    pub fn forged(&self) -> Vec<String> {
        self.forged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until nothing is left to do: no message unanswered, no retry scheduled, and every deadline fired.
    ///
    /// # Errors
    /// When something is left.
    pub async fn at_rest(&self) -> Result<()> {
        let timers = self.system.js.get_stream("TIMERS").await?;
        until("every deadline has fired", async || {
            let mut left = timers.info_with_subjects("timer.>").await?;
            let next = futures_util::StreamExt::next(&mut left).await;
            Ok(next.is_none().then_some(()))
        })
        .await?;
        self.system.until_idle().await
    }
}

/// The same order for the products of the shelf that its id falls on.
fn on_its_shelf(body: Vec<u8>, id: &str) -> Vec<u8> {
    let number: usize = id.trim_start_matches("ORD-").parse().unwrap_or_default();
    let [a, b] = skus(number % SHELVES);
    let text = String::from_utf8_lossy(&body);
    text.replace("PROD-A1", &a).replace("PROD-B2", &b).into_bytes()
}

/// The two products of a shelf. Orders take turns on a product, so they are spread over several.
pub fn skus(shelf: usize) -> [String; 2] {
    [format!("PROD-A{shelf}"), format!("PROD-B{shelf}")]
}

async fn start(system: &System, role: Role, board: Arc<Board>) -> Result<Running> {
    let mut nats = system.connect().await?;
    nats.script = Script::default().with_hook(move |at| board.happens(at));
    let mut worker = system.worker(role, &nats).await?;
    if role == Role::Payment {
        worker = worker.retrying(RETRY);
    }
    let mut topology = worker.topology(1);
    for (_, consumer) in &mut topology.consumers {
        consumer.ack_wait = ACK_WAIT;
    }
    topology.ensure(&nats).await?;
    system.run(worker, nats, &["--concurrency", "1024"])
}
