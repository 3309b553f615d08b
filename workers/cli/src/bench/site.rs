use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::consumer::pull;
use checkout::Checkout;
use jetsaga::{Nats, Plan, Topology, engine::step_consumers, subject};
use serde::Serialize;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{bare, counts::Counts, process::Process};
use crate::NatsServer;

/// What a worker process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Order,
    Payment,
    Inventory,
    Shipping,
}

/// Which code does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Side {
    /// The engine's.
    Engine,
    /// Hand-written loops with the same JetStream operations.
    Bare,
}

impl Role {
    pub(super) const ALL: [Self; 4] = [Self::Order, Self::Payment, Self::Inventory, Self::Shipping];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Payment => "payment",
            Self::Inventory => "inventory",
            Self::Shipping => "shipping",
        }
    }

    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    /// The consumers of this role: the engine's own, but the owner does not hear `OrderCreated`: there are no deadlines
    /// to arm here.
    pub(super) fn consumers(self, plan: &Plan) -> Vec<(&'static str, pull::Config)> {
        let step = |name: &str| {
            plan.find(name)
                .map(|ix| step_consumers(plan, ix))
                .unwrap_or_default()
        };
        let mut consumers = match self {
            Self::Order => jetsaga::engine::owner_consumers(plan),
            Self::Payment | Self::Inventory | Self::Shipping => step(self.word()),
        };
        if self == Self::Order {
            let start = subject::events_of_type(&plan.saga, &plan.start);
            for (_, consumer) in &mut consumers {
                consumer.filter_subjects.retain(|filter| *filter != start);
            }
        }
        consumers
    }
}

/// A nats-server of our own with the checkout's streams and consumers, and the four workers of one side.
pub(super) struct Site {
    pub(super) side: Side,
    pub(super) nats: Nats,
    pub(super) workers: Vec<(Role, Process)>,
    consumers: Vec<(&'static str, pull::Config)>,
    server: NatsServer,
    _store: TempDir,
}

impl Site {
    /// A server with the benchmark's streams and consumers, and no workers.
    pub(super) async fn without_workers(side: Side, plan: &Plan) -> anyhow::Result<Self> {
        let store = tempfile::tempdir().context("no directory for the nats-server")?;
        let server = NatsServer::start(store.path(), 0).await?;
        let nats = Nats::connect(&server.url(), "bench").await?;
        let consumers: Vec<_> = Role::ALL.iter().flat_map(|role| role.consumers(plan)).collect();
        let topology = Topology {
            consumers: consumers.clone(),
            ..Topology::new(1)
        };
        topology.ensure(&nats).await?;
        Ok(Self {
            side,
            nats,
            workers: Vec::new(),
            consumers,
            server,
            _store: store,
        })
    }

    /// The same with every worker at work, with these flags besides.
    pub(super) async fn open(side: Side, plan: &Plan, flags: &[&str]) -> anyhow::Result<Self> {
        let mut site = Self::without_workers(side, plan).await?;
        for role in Role::ALL {
            let name = match side {
                Side::Engine => format!("bench-{}", role.word()),
                Side::Bare => format!("bench-bare-{}", role.word()),
            };
            site.workers
                .push((role, Process::start(&name, &site.url(), flags)?));
        }
        for (role, worker) in &site.workers {
            match side {
                Side::Engine => worker.ready().await?,
                Side::Bare => bare::ready(&site.nats, *role).await?,
            }
        }
        Ok(site)
    }

    /// What each worker has counted under this name.
    pub(super) async fn counted(&self, name: &str) -> anyhow::Result<u64> {
        let mut sum = 0;
        for (_, worker) in &self.workers {
            sum += worker.counted(name).await?;
        }
        Ok(sum)
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    pub(super) fn server_id(&self) -> anyhow::Result<u32> {
        self.server.id().context("the nats-server has ended")
    }

    /// What each worker has done since it began.
    pub(super) async fn counts(&self) -> anyhow::Result<Vec<(Role, Counts)>> {
        let mut all = Vec::new();
        for (role, worker) in &self.workers {
            let counts = match self.side {
                Side::Engine => worker.counts().await?,
                Side::Bare => bare::counts(&self.nats, *role).await?,
            };
            all.push((*role, counts));
        }
        Ok(all)
    }

    /// Waits until every consumer has delivered everything and heard an acknowledgement for it, and the bucket has
    /// caught up with the journal. Returns the journal's last sequence.
    pub(super) async fn settle(&self) -> anyhow::Result<u64> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if self.consumers_are_idle().await? {
                let journal = self.last_sequence(subject::EVENTS).await?;
                if self.last_sequence(subject::KV_STATE).await? == journal {
                    return Ok(journal);
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("the consumers are not done after a minute")
    }

    async fn consumers_are_idle(&self) -> anyhow::Result<bool> {
        for (stream, consumer) in self.consumers.iter().filter(|(s, _)| *s == subject::EVENTS) {
            let name = consumer.durable_name.as_deref().unwrap_or_default();
            if !self.is_idle(stream, name).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True if this consumer has delivered everything and heard an acknowledgement for it.
    async fn is_idle(&self, stream: &str, consumer: &str) -> anyhow::Result<bool> {
        let jetstream = &self.nats.jetstream;
        let consumer = jetstream
            .get_consumer_from_stream::<pull::Config, _, _>(consumer, stream)
            .await?;
        let info = consumer.cached_info();
        Ok(info.num_pending == 0 && info.num_ack_pending == 0)
    }

    /// Waits until [`Self::is_idle`], at most two minutes.
    pub(super) async fn idle(&self, stream: &str, consumer: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !self.is_idle(stream, consumer).await? {
            anyhow::ensure!(
                Instant::now() < deadline,
                "{consumer} on {stream} is not done after two minutes"
            );
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn last_sequence(&self, stream: &str) -> anyhow::Result<u64> {
        let stream = self.nats.jetstream.get_stream(stream).await?;
        Ok(stream.cached_info().state.last_sequence)
    }
}

/// The plan of the checkout.
pub(super) fn plan() -> anyhow::Result<Plan> {
    Ok(Plan::of::<Checkout>()?)
}

#[cfg(test)]
mod tests {
    use jetsaga::Fact as _;

    use super::*;

    #[test]
    fn only_payment_and_inventory_hear_the_start() {
        let plan = plan().unwrap();
        let start = format!("evt.checkout.{}.*", checkout::OrderCreated::TYPE);
        for role in Role::ALL {
            let hears = role
                .consumers(&plan)
                .iter()
                .any(|(_, c)| c.filter_subjects.contains(&start));
            assert_eq!(hears, matches!(role, Role::Payment | Role::Inventory), "{role:?}");
        }
    }
}
