use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

/// The workers of the checkout, each a process of its own, and the payment provider.
pub(super) struct Fleet {
    workers: BTreeMap<&'static str, Child>,
    store: PathBuf,
    nats_url: String,
    pub(super) provider_url: String,
    provider: JoinHandle<anyhow::Result<()>>,
    stop_provider: oneshot::Sender<()>,
    /// How many were killed.
    pub(super) kills: u32,
}

/// One kill, before so many orders were placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kill {
    pub(super) before: usize,
    pub(super) worker: String,
}

const WORKERS: [&str; 5] = ["order", "payment", "inventory", "shipping", "notifier"];

/// `each` kills of every worker, spread over the orders by chance.
pub(super) fn schedule(workers: &[String], each: u32, orders: usize, seed: u64) -> anyhow::Result<Vec<Kill>> {
    let mut chance = fastrand::Rng::with_seed(seed ^ 0x6b69_6c6c);
    let mut kills = Vec::new();
    for worker in workers {
        anyhow::ensure!(
            WORKERS.contains(&worker.as_str()),
            "there is no worker {worker:?} to kill; it takes {}",
            WORKERS.join(", ")
        );
        // The first tenth starts the system up. Each kill waits for its burst of orders, so the last third is left
        // for those that are behind.
        let places = (orders / 10)..(orders * 7 / 10).max(orders / 10 + 1);
        kills.extend((0..each).map(|_| Kill {
            before: chance.usize(places.clone()),
            worker: worker.clone(),
        }));
    }
    kills.sort_by_key(|kill| kill.before);
    Ok(kills)
}

impl Fleet {
    /// Starts everything, with what it stores and logs under `store`.
    pub(super) async fn start(store: &Path, nats_url: &str, seed: u64) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let provider_url = format!("http://{}", listener.local_addr()?);
        let mut ledger = provider::Config::new(store.join("provider-ledger.jsonl"));
        ledger.failures.seed = seed;
        let (stop_provider, stopped) = oneshot::channel::<()>();
        let provider = tokio::spawn(provider::serve(listener, ledger, async {
            let _ = stopped.await; // a dropped sender stops as well
        }));
        let (workers, store, nats_url) = (BTreeMap::new(), store.to_owned(), nats_url.to_owned());
        let mut fleet = Self {
            workers,
            store,
            nats_url,
            provider_url,
            provider,
            stop_provider,
            kills: 0,
        };
        for worker in WORKERS {
            let child = fleet.spawn(worker)?;
            fleet.workers.insert(worker, child);
        }
        Ok(fleet)
    }

    /// Kills a worker with SIGKILL, wherever it is, and starts another one.
    pub(super) async fn kill(&mut self, worker: &str) -> anyhow::Result<()> {
        let Some(name) = WORKERS.into_iter().find(|name| *name == worker) else {
            return Ok(());
        };
        if let Some(mut child) = self.workers.remove(name) {
            if let Some(status) = child.try_wait()? {
                anyhow::bail!(
                    "{name} ended by itself with {status}; see {}",
                    self.log(name).display()
                );
            }
            child.kill().await?;
            self.kills += 1;
        }
        let child = self.spawn(name)?;
        self.workers.insert(name, child);
        Ok(())
    }

    /// Fails if a worker has ended by itself, naming its log.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        for (name, child) in &mut self.workers {
            if let Some(status) = child.try_wait()? {
                let log = self.store.join(format!("{name}.log"));
                let words = std::fs::read_to_string(&log).unwrap_or_default();
                anyhow::bail!("{name} ended by itself with {status}: {}", words.trim_end());
            }
        }
        Ok(())
    }

    /// Tells every worker to drain, and waits for a clean end of each.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        for (name, child) in &mut self.workers {
            let id = child.id().with_context(|| format!("{name} is gone"))?;
            let told = Command::new("kill")
                .args(["-TERM", &id.to_string()])
                .status()
                .await?;
            anyhow::ensure!(told.success(), "{name} could not be told to stop");
        }
        for (name, mut child) in std::mem::take(&mut self.workers) {
            let ended = timeout(Duration::from_secs(30), child.wait()).await;
            let status = ended.with_context(|| format!("{name} does not drain"))??;
            anyhow::ensure!(status.success(), "{name} drained with {status}");
        }
        let (closed, _) = oneshot::channel();
        let _ = std::mem::replace(&mut self.stop_provider, closed).send(()); // it may have ended already
        (&mut self.provider).await?
    }

    fn log(&self, worker: &str) -> PathBuf {
        self.store.join(format!("{worker}.log"))
    }

    fn spawn(&self, worker: &str) -> anyhow::Result<Child> {
        let log = File::options().create(true).append(true).open(self.log(worker))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["worker", worker, "--nats-url", &self.nats_url]);
        match worker {
            "payment" => {
                command.args(["--payment-provider-url", &self.provider_url]);
            }
            "notifier" => {
                command
                    .arg("--notifier-file")
                    .arg(self.store.join("notices.jsonl"));
            }
            _ => {}
        }
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        command
            .spawn()
            .with_context(|| format!("{worker} cannot be started"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_spread_and_repeatable() {
        let workers = ["payment".to_owned(), "order".to_owned()];
        let kills = schedule(&workers, 20, 2000, 7).unwrap();
        assert_eq!(kills, schedule(&workers, 20, 2000, 7).unwrap());
        assert_eq!(kills.iter().filter(|k| k.worker == "order").count(), 20);
        assert!(kills.iter().all(|k| (200..1400).contains(&k.before)));
        assert!(schedule(&["nobody".to_owned()], 1, 10, 7).is_err());
        assert_eq!(schedule(&workers, 1, 1, 7).unwrap().len(), 2);
    }
}
