use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use jetsaga_cli::ports;
use reqwest::Client;
use serde_json::Value;
use tokio::{task::JoinSet, time::sleep};

use super::{proxy::Proxy, slot::Slot, target::WORKERS, verdict::LEDGER};

/// The workers, two replicas of each, and the payment provider: real processes, each behind proxies of its own. They
/// end with this value.
#[derive(Debug)]
pub(super) struct Fleet {
    /// In the order of [`WORKERS`].
    pub(super) workers: Vec<Arc<Slot>>,
    /// The payment provider.
    pub(super) provider: Arc<Slot>,
    http: Client,
    provider_url: String,
    surprises: Arc<Mutex<Vec<String>>>,
    /// Whoever starts again what ended by itself.
    _watch: JoinSet<()>,
}

/// How processes are started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner<'a> {
    /// Where they log and store.
    pub(super) dir: &'a Path,
    /// The deliberate flaw of the workers.
    pub(super) flaw: Option<&'a str>,
    /// What the workers log.
    pub(super) log: &'a str,
    /// How long an order may stay open.
    pub(super) deadline: Duration,
}

/// How long a worker may take to drain: its flag.
pub(super) const DRAIN_LIMIT: Duration = Duration::from_secs(15);

impl Fleet {
    /// Starts everything: the binary `fleet` beside this one.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub(super) async fn start(manner: &Manner<'_>, nodes: &[SocketAddr]) -> Result<Self> {
        let dir = manner.dir;
        let program = program()?;
        let listen = SocketAddr::from(([127, 0, 0, 1], ports::free::<1>()?[0]));
        let ledger = dir.join(LEDGER).display().to_string();
        let line = [
            "worker",
            "provider",
            "--listen",
            &listen.to_string(),
            "--ledger",
            &ledger,
        ];
        let line = line.map(str::to_owned).to_vec();
        let provider = Arc::new(Slot::new("provider", &program, line, None, dir));
        let mut workers = Vec::new();
        for (name, role) in WORKERS {
            workers.push(Arc::new(
                worker(name, role, manner, &program, nodes, listen).await?,
            ));
        }
        for slot in workers.iter().chain([&provider]) {
            slot.start(&mut *slot.take().await)?;
        }
        let surprises = Arc::new(Mutex::new(Vec::new()));
        let mut watch = JoinSet::new();
        let all: Vec<_> = workers.iter().chain([&provider]).cloned().collect();
        watch.spawn(start_again(all, surprises.clone()));
        Ok(Self {
            workers,
            provider,
            http: Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(5))
                .build()?,
            provider_url: format!("http://{listen}"),
            surprises,
            _watch: watch,
        })
    }

    /// Changes what goes wrong at the provider from now on.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub(super) async fn failures(&self, change: &Value) -> Result<()> {
        let request = self.http.post(format!("{}/v1/admin/failures", self.provider_url));
        request.json(change).send().await?.error_for_status()?;
        Ok(())
    }

    /// The provider's ledger after a place, one JSON object a line.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub(super) async fn ledger(&self, after: u64) -> Result<String> {
        let url = format!("{}/v1/ledger?after={after}", self.provider_url);
        Ok(self
            .http
            .get(url)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?)
    }

    /// Every worker that ended by itself after it had begun to work: none should.
    pub(super) fn surprises(&self) -> Vec<String> {
        self.surprises
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn worker(
    name: &str,
    role: &str,
    manner: &Manner<'_>,
    program: &Path,
    nodes: &[SocketAddr],
    provider: SocketAddr,
) -> Result<Slot> {
    let dir = manner.dir;
    let nats = Proxy::start(nodes.to_vec()).await?;
    let mut line = vec!["worker".to_owned(), role.to_owned()];
    let mut flag = |name: &str, value: String| line.extend([name.to_owned(), value]);
    flag("--nats-url", format!("nats://{}", nats.address()));
    flag("--replicas", "3".to_owned());
    flag("--log", manner.log.to_owned());
    flag("--drain-limit", format!("{}s", DRAIN_LIMIT.as_secs()));
    let mut bank = None;
    match role {
        "payment" => {
            let proxy = Proxy::start(vec![provider]).await?;
            flag("--payment-provider-url", format!("http://{}", proxy.address()));
            bank = Some(proxy);
        }
        "order" => flag("--order-deadline", format!("{}ms", manner.deadline.as_millis())),
        "notifier" => flag("--notifier-file", dir.join("notices.jsonl").display().to_string()),
        _ => {}
    }
    let mut slot = Slot::new(name, program, line, manner.flaw, dir);
    (slot.nats, slot.bank) = (Some(nats), bank);
    Ok(slot)
}

/// Starts again what ended by itself, as an orchestrator would: for a worker that finds no server at its start ends.
async fn start_again(slots: Vec<Arc<Slot>>, surprises: Arc<Mutex<Vec<String>>>) {
    loop {
        sleep(Duration::from_millis(500)).await;
        for slot in &slots {
            if let Some(ended) = slot.ended() {
                if ended.worked {
                    let said = format!("{} ended by itself with {}", slot.name, ended.words);
                    surprises
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(said);
                }
                if let Err(error) = slot.start(&mut *slot.take().await) {
                    eprintln!("{error:#}");
                }
            }
        }
    }
}

/// The binary `fleet`, which is built with this one.
fn program() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let fleet = this.parent().map(|dir| dir.join("fleet"));
    let fleet = fleet.filter(|fleet| fleet.is_file());
    fleet.with_context(|| {
        format!(
            "there is no fleet beside {}; build both: cargo build -p jetsaga-tests --bins",
            this.display()
        )
    })
}
