use engine::use_ring;
use std::path::Path;

use anyhow::{Context as _, Result};
use provider::Config;
use reqwest::Client;
use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// The payment provider in this process, with its ledger in the test's directory.
pub struct Provider {
    /// Where it is.
    pub url: String,
    client: Client,
    // Dropping it is the shutdown.
    _stop: oneshot::Sender<()>,
    _serving: JoinHandle<Result<()>>,
}

/// What the provider's ledger adds up to, in minor units, and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Money taken.
    pub charged: u64,
    /// Money given back.
    pub refunded: u64,
    /// How often money was taken.
    pub charges: u64,
    /// How often money was given back.
    pub refunds: u64,
    /// Keys that were forbidden before anything happened under them.
    pub forbidden: u64,
    /// Keys whose request is on its way.
    pub in_flight: u64,
}

impl Provider {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When there is no port, or no client can be made.
    pub async fn start(dir: &Path) -> Result<Self> {
        use_ring();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let config = Config::new(dir.join("ledger.jsonl"));
        let serving = tokio::spawn(provider::serve(
            listener,
            config,
            async move { drop(stopped.await) },
        ));
        Ok(Self {
            url,
            client: Client::builder().no_proxy().build()?,
            _stop: stop,
            _serving: serving,
        })
    }

    /// Changes what goes wrong from now on.
    ///
    /// # Errors
    /// When the provider refuses the change.
    pub async fn failures(&self, change: Value) -> Result<()> {
        let request = self.client.post(format!("{}/v1/admin/failures", self.url));
        request.json(&change).send().await?.error_for_status()?;
        Ok(())
    }

    /// What the ledger adds up to.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn books(&self) -> Result<Books> {
        let totals: Value = self.get("/v1/totals").await?.json().await?;
        let number = |value: &Value| {
            value
                .as_u64()
                .with_context(|| format!("a number is missing in {totals}"))
        };
        Ok(Books {
            charged: number(&totals["charged"])?,
            refunded: number(&totals["refunded"])?,
            charges: number(&totals["charges"])?,
            refunds: number(&totals["refunds"])?,
            forbidden: number(&totals["keys"]["forbidden"])?,
            in_flight: number(&totals["keys"]["in_flight"])?,
        })
    }

    /// What became of an idempotency key: `succeeded`, `declined`, `forbidden`, `in_flight`, or nothing yet.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn outcome(&self, key: &str) -> Result<Option<String>> {
        let response = self
            .client
            .get(format!("{}/v1/keys/{key}", self.url))
            .send()
            .await?;
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let view: Value = response.error_for_status()?.json().await?;
        Ok(view["outcome"].as_str().map(str::to_owned))
    }

    async fn get(&self, path: &str) -> Result<reqwest::Response> {
        let response = self.client.get(format!("{}{path}", self.url)).send().await?;
        Ok(response.error_for_status()?)
    }
}
