//! One provider with its ledger in a temporary directory, and a client for it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use provider::{Config, serve};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// The time in which anything these tests wait for has happened.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

pub(crate) struct Provider {
    pub(crate) api: Api,
    pub(crate) config: Config,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Result<()>>,
    _dir: TempDir,
}

/// A client of one provider.
#[derive(Clone)]
pub(crate) struct Api {
    base: String,
    client: Client,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    pub(crate) body: String,
}

pub(crate) fn order(reference: &str) -> Value {
    json!({ "amount": 1250, "currency": "usd", "reference": reference, "customer": "cus_1", "source": "tok_ok" })
}

pub(crate) fn refund_of(charge_key: &str, amount: u64) -> Value {
    json!({ "charge_key": charge_key, "amount": amount, "reference": "ORD-1" })
}

impl Provider {
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(|_| ()).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Result<Self> {
        let dir = TempDir::new()?;
        let mut config = Config::new(dir.path().join("ledger.jsonl"));
        change(&mut config);
        Self::on(dir, config).await
    }

    async fn on(dir: TempDir, config: Config) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api = Api::new(&format!("http://{}", listener.local_addr()?))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        let serving = tokio::spawn(serve(listener, config.clone(), shutdown));
        Ok(Self {
            api,
            config,
            stop: Some(stop),
            serving,
            _dir: dir,
        })
    }

    /// Asks for the shutdown.
    pub(crate) fn signal(&mut self) {
        drop(self.stop.take());
    }

    /// Waits for the end, and keeps the ledger.
    pub(crate) async fn ended(mut self) -> Result<TempDir> {
        self.signal();
        timeout(BOUND, self.serving)
            .await
            .context("the provider does not stop")???;
        Ok(self._dir)
    }

    /// Stops, changes the ledger file, and starts again.
    pub(crate) async fn restart_with(self, damage: impl FnOnce(&PathBuf) -> Result<()>) -> Result<Self> {
        let config = self.config.clone();
        let dir = self.ended().await?;
        damage(&config.ledger)?;
        Self::on(dir, config).await
    }

    pub(crate) async fn restart(self) -> Result<Self> {
        self.restart_with(|_| Ok(())).await
    }

    /// Why the provider did not start.
    pub(crate) async fn error(self) -> Result<String> {
        match timeout(BOUND, self.serving)
            .await
            .context("the provider runs")??
        {
            Ok(()) => bail!("the provider ended well"),
            Err(error) => Ok(format!("{error:#}")),
        }
    }

    pub(crate) fn ledger_text(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.config.ledger)?)
    }
}

impl Api {
    pub(crate) fn new(base: &str) -> Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default(); // the first choice stays
        let client = Client::builder().no_proxy().timeout(BOUND).build()?;
        Ok(Self {
            base: base.to_owned(),
            client,
        })
    }

    pub(crate) fn base_url(&self) -> String {
        self.base.clone()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) fn post(&self, path: &str, key: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path)
            .header("Idempotency-Key", key)
            .json(body)
    }

    pub(crate) async fn charge(&self, key: &str, body: &Value) -> Result<Reply> {
        send(self.post("/v1/charges", key, body)).await
    }

    pub(crate) async fn refund(&self, key: &str, body: &Value) -> Result<Reply> {
        send(self.post("/v1/refunds", key, body)).await
    }

    /// A charge with an `X-Simulate` header.
    pub(crate) async fn simulate(&self, wish: &str, key: &str, body: &Value) -> Result<Reply> {
        send(self.post("/v1/charges", key, body).header("X-Simulate", wish)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Reply> {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn look_up(&self, key: &str) -> Result<Reply> {
        self.get(&format!("/v1/keys/{key}")).await
    }

    pub(crate) async fn settle(&self, key: &str) -> Result<Reply> {
        send(self.request(Method::POST, &format!("/v1/keys/{key}/settle"))).await
    }

    pub(crate) async fn set_failures(&self, change: &Value) -> Result<Value> {
        let reply = send(self.request(Method::POST, "/v1/admin/failures").json(change)).await?;
        ensure!(reply.status == 200, "{reply:?}");
        reply.json()
    }

    /// `kind key` of every ledger entry.
    pub(crate) async fn ledger(&self) -> Result<Vec<String>> {
        let lines = self.get("/v1/ledger").await?.body;
        let entries = lines.lines().map(serde_json::from_str::<Value>);
        let short = |entry: Value| format!("{} {}", entry["kind"], entry["key"]).replace('"', "");
        Ok(entries
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .map(short)
            .collect())
    }

    /// Waits until a look-up of `key` says `outcome`.
    pub(crate) async fn wait_for(&self, key: &str, outcome: &str) -> Result<()> {
        let deadline = Instant::now() + BOUND;
        loop {
            let reply = self.look_up(key).await?;
            if reply.status == 200 && reply.json()?["outcome"] == outcome {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{key} is never {outcome}: {reply:?}");
        }
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("{self:?}"))
    }

    /// Status and error code, such as `409 key_forbidden`.
    pub(crate) fn error(&self) -> Result<String> {
        let json = self.json()?;
        ensure!(json["error"]["message"].is_string(), "{self:?}");
        Ok(format!("{} {}", self.status, json["error"]["code"]).replace('"', ""))
    }
}

/// Sends a request and reads the whole answer.
pub(crate) async fn send(request: RequestBuilder) -> Result<Reply> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let replayed = response
        .headers()
        .get("idempotent-replayed")
        .is_some_and(|value| value == "true");
    Ok(Reply {
        status,
        replayed,
        body: response.text().await?,
    })
}
