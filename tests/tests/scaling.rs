//! Replicas of the step workers come and go, as an autoscaler has them by the lag that KEDA reads, while orders come in.

use std::time::Duration;

use jetsaga::anyhow::{self, Context as _, Result, ensure};
use jetsaga_tests::harness::{
    Cluster, Keda, PATIENCE, Process, Role, Shape, System, ended_well, jetsaga, order_with,
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// The most replicas of one worker.
const MOST: usize = 6;
/// Messages that one replica is trusted with: the `lagThreshold`.
const THRESHOLD: u64 = 20;
/// How often the autoscaler looks.
const LOOK: Duration = Duration::from_millis(100);
/// How often in a row it has to see that fewer would do.
const SURE: u32 = 3;

/// The replicas of one worker, each a process.
struct Scaled<'a> {
    system: &'a System<Cluster>,
    role: Role,
    consumer: &'static str,
    replicas: Vec<Process>,
    /// The most that there were.
    most: usize,
    fewer: u32,
    /// Those that were told to stop.
    stopping: JoinSet<Result<(Option<i32>, String)>>,
}

impl<'a> Scaled<'a> {
    fn new(system: &'a System<Cluster>, role: Role, consumer: &'static str) -> Result<Self> {
        let mut scaled = Self {
            system,
            role,
            consumer,
            replicas: Vec::new(),
            most: 1,
            fewer: 0,
            stopping: JoinSet::new(),
        };
        scaled.start()?;
        Ok(scaled)
    }

    fn start(&mut self) -> Result<()> {
        let mut command = self.system.as_process(self.role, jetsaga()?);
        command.args(["--concurrency", "2"]);
        self.replicas.push(Process::start(&mut command)?);
        Ok(())
    }

    /// One look of the autoscaler: more at once, fewer when it is sure, one at a time and the oldest first.
    async fn look(&mut self, keda: &Keda) -> Result<()> {
        let events = keda.lag("EVENTS", self.consumer).await?;
        let due = keda.lag("RETRY", self.consumer).await?;
        let wanted = usize::try_from(events.max(due).div_ceil(THRESHOLD))?.clamp(1, MOST);
        while self.replicas.len() < wanted {
            self.start()?;
        }
        self.most = self.most.max(self.replicas.len());
        self.fewer = if wanted < self.replicas.len() {
            self.fewer + 1
        } else {
            0
        };
        if self.fewer >= SURE {
            let oldest = self.replicas.remove(0);
            oldest.terminate().await?;
            self.stopping.spawn(oldest.ended());
        }
        Ok(())
    }

    /// Every replica that was told to stop ended well. Returns how many those were.
    async fn ended(mut self) -> Result<usize> {
        let mut count = 0;
        while let Some(ended) = self.stopping.join_next().await {
            let (code, said) = ended??;
            ensure!(code == Some(0), "{:?} ended with {code:?}: {said}", self.role);
            count += 1;
        }
        Ok(count)
    }
}

/// Orders with a number each, one in ten of them refused.
struct Orders<'a> {
    system: &'a System<Cluster>,
    ids: Vec<String>,
    refused: usize,
}

impl Orders<'_> {
    async fn place(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            let n = self.ids.len();
            let id = format!("ORD-{n}");
            let event: Value = match n % 20 {
                5 => order_with(&id, "/paymentMethod", "tok_decline"),
                15 => order_with(&id, "/shippingAddress/zip", "00000"),
                _ => order_with(&id, "/customerId", format!("CUST-{n}")),
            };
            self.refused += usize::from(n % 10 == 5);
            self.system.place(&event).await?;
            self.ids.push(id);
        }
        Ok(())
    }
}

#[tokio::test]
async fn six_replicas_come_and_five_go_and_every_order_ends_once() {
    let system = System::on(Shape::Alone).await.unwrap();
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 1_000_000).await.unwrap();
    }
    system
        .provider
        .failures(json!({"delay_ms": 40, "lost_answer_rate": 0.05}))
        .await
        .unwrap();
    system.provision(&Role::CHECKOUT).await.unwrap();
    let _order = system.start(Role::Order).await.unwrap();
    let keda = Keda::new(system.server.monitors()[0]).unwrap();
    let mut scaled = vec![
        Scaled::new(&system, Role::Payment, "checkout-payment").unwrap(),
        Scaled::new(&system, Role::Inventory, "checkout-inventory").unwrap(),
    ];
    let mut orders = Orders {
        system: &system,
        ids: Vec::new(),
        refused: 0,
    };
    // Shipping keeps up with whatever payment lets through; so it begins late, with a backlog.
    until_shipping_waits(&mut scaled, &keda, &mut orders)
        .await
        .unwrap();
    scaled.push(Scaled::new(&system, Role::Shipping, "checkout-shipping").unwrap());
    grow(&mut scaled, &keda, &mut orders).await.unwrap();
    let at_most = orders.ids.len();
    shrink(&mut scaled, &keda, &mut orders).await.unwrap();
    assert!(orders.ids.len() > at_most, "orders came in while replicas went");

    for id in &orders.ids {
        system.until_final(id).await.unwrap();
    }
    system.until_idle().await.unwrap();
    for worker in scaled {
        let role = worker.role;
        assert!(worker.ended().await.unwrap() >= MOST - 1, "{role:?}");
    }
    let counts = ended_well(&system, &orders.ids, orders.refused).await.unwrap();
    println!("{} orders: {counts}", orders.ids.len());
}

/// Places orders until enough of them wait for shipping to take all its replicas.
async fn until_shipping_waits(scaled: &mut [Scaled<'_>], keda: &Keda, orders: &mut Orders<'_>) -> Result<()> {
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        let waiting = keda.lag("EVENTS", "checkout-shipping").await?;
        if waiting >= 2 * THRESHOLD * MOST as u64 {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "only {waiting} orders wait for shipping"
        );
        press(keda, orders).await?;
        looks(scaled, keda).await?;
    }
}

/// Places orders until every worker has all its replicas.
async fn grow(scaled: &mut [Scaled<'_>], keda: &Keda, orders: &mut Orders<'_>) -> Result<()> {
    let deadline = Instant::now() + 2 * PATIENCE;
    while scaled.iter().any(|worker| worker.most < MOST) {
        let reached: Vec<_> = scaled.iter().map(|worker| worker.most).collect();
        ensure!(Instant::now() < deadline, "not enough replicas: {reached:?}");
        press(keda, orders).await?;
        looks(scaled, keda).await?;
    }
    Ok(())
}

/// Places a hundred orders, if one of the first two steps has not enough to do.
async fn press(keda: &Keda, orders: &mut Orders<'_>) -> Result<()> {
    let charged = keda.lag("EVENTS", "checkout-payment").await?;
    let reserved = keda.lag("EVENTS", "checkout-inventory").await?;
    if orders.ids.len() < 3_000 && charged.min(reserved) < 200 {
        orders.place(100).await?;
    }
    Ok(())
}

/// Lets the load go down to a few orders a second, until every worker has one replica left.
async fn shrink(scaled: &mut [Scaled<'_>], keda: &Keda, orders: &mut Orders<'_>) -> Result<()> {
    let deadline = Instant::now() + 2 * PATIENCE;
    while scaled.iter().any(|worker| worker.replicas.len() > 1) {
        let left: Vec<_> = scaled.iter().map(|worker| worker.replicas.len()).collect();
        ensure!(Instant::now() < deadline, "too many replicas: {left:?}");
        orders.place(1).await?;
        looks(scaled, keda).await.with_context(|| format!("{left:?}"))?;
    }
    anyhow::Ok(())
}

async fn looks(scaled: &mut [Scaled<'_>], keda: &Keda) -> Result<()> {
    for worker in scaled.iter_mut() {
        worker.look(keda).await?;
    }
    sleep(LOOK).await;
    Ok(())
}
