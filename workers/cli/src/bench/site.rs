use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use async_nats::jetstream::consumer::pull;
use checkout::Checkout;
use jetsaga::{Nats, Plan, Topology, engine::step_consumers, subject};
use serde::Serialize;
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::{bare, counts::Counts};
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

    /// The consumers of this role: the engine's own, but nobody hears `OrderCreated` who would not act on it. There
    /// are no deadlines to arm here, and shipping is never opened by it.
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
        if matches!(self, Self::Order | Self::Shipping) {
            let start = subject::events_of_type(&plan.saga, &plan.start);
            for (_, consumer) in &mut consumers {
                consumer.filter_subjects.retain(|filter| *filter != start);
            }
        }
        consumers
    }
}

/// A worker process.
pub(super) struct Process {
    pub(super) role: Role,
    child: Child,
    probes: SocketAddr,
}

impl Process {
    /// Starts one worker of this program, by its name, on a port of its own for the probes.
    pub(super) fn start(role: Role, name: &str, url: &str, flags: &[&str]) -> anyhow::Result<Self> {
        let probes = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?; // free again when this returns
        let mut command = Command::new(std::env::current_exe().context("this program has no path")?);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("JETSAGA_") {
                command.env_remove(variable);
            }
        }
        let child = command
            .args(["worker", name, "--nats-url", url, "--log", "error"])
            .args(["--http-listen", &probes.to_string()])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("worker {name} cannot be started"))?;
        Ok(Self { role, child, probes })
    }

    pub(super) fn id(&self) -> anyhow::Result<u32> {
        self.child
            .id()
            .with_context(|| format!("worker {} has ended", self.role.word()))
    }

    /// Waits until the worker answers its probes, at most ten seconds.
    pub(super) async fn ready(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Ok(answer) = self.probe("readyz").await
                && answer.status().is_success()
            {
                return Ok(());
            }
            self.id()?;
            sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("worker {} is not ready after ten seconds", self.role.word())
    }

    /// The counters of the engine in it.
    pub(super) async fn counts(&self) -> anyhow::Result<Counts> {
        Ok(Counts::of_metrics(&self.probe("metrics").await?.text().await?))
    }

    async fn probe(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        reqwest::get(format!("http://{}/{path}", self.probes)).await
    }
}

/// A nats-server of our own with the checkout's streams and consumers, and the four workers of one side.
pub(super) struct Site {
    pub(super) side: Side,
    pub(super) nats: Nats,
    pub(super) workers: Vec<Process>,
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

    /// The same with every worker at work.
    pub(super) async fn open(side: Side, plan: &Plan) -> anyhow::Result<Self> {
        let mut site = Self::without_workers(side, plan).await?;
        for role in Role::ALL {
            let name = match side {
                Side::Engine => format!("bench-{}", role.word()),
                Side::Bare => format!("bench-bare-{}", role.word()),
            };
            site.workers.push(Process::start(role, &name, &site.url(), &[])?);
        }
        for worker in &site.workers {
            match side {
                Side::Engine => worker.ready().await?,
                Side::Bare => bare::ready(&site.nats, worker.role).await?,
            }
        }
        Ok(site)
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
        for worker in &self.workers {
            let counts = match self.side {
                Side::Engine => worker.counts().await?,
                Side::Bare => bare::counts(&self.nats, worker.role).await?,
            };
            all.push((worker.role, counts));
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
            let consumer = self
                .nats
                .jetstream
                .get_consumer_from_stream::<pull::Config, _, _>(name, *stream);
            let consumer = consumer.await?;
            let info = consumer.cached_info();
            if info.num_pending > 0 || info.num_ack_pending > 0 {
                return Ok(false);
            }
        }
        Ok(true)
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
