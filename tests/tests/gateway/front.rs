use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use gateway::{Config, Role, new_token, serve};
use jetsaga::{Nats, Token};
use jetsaga_tests::harness::{PATIENCE, System};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

/// A gateway in this process, with a token of each role.
pub(crate) struct Front {
    pub(crate) url: String,
    pub(crate) keys: Keys,
    /// Its connection, with its metrics.
    pub(crate) nats: Nats,
    client: Client,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<()>>,
}

/// A file of keys, and what it knows.
pub(crate) struct Keys {
    pub(crate) shop: String,
    pub(crate) operator: String,
    pub(crate) dir: Arc<TempDir>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Keys {
    pub(crate) fn new() -> Result<Self> {
        let shop = new_token(&Token::new("shop")?, Role::CustomerFacing)?;
        let operator = new_token(&Token::new("staff")?, Role::Operator)?;
        let dir = Arc::new(TempDir::new()?);
        std::fs::write(
            dir.path().join("keys"),
            format!("{}\n{}\n", shop.line, operator.line),
        )?;
        Ok(Self {
            shop: shop.token,
            operator: operator.token,
            dir,
        })
    }

    /// The same, for another gateway.
    pub(crate) fn again(&self) -> Self {
        Self {
            shop: self.shop.clone(),
            operator: self.operator.clone(),
            dir: self.dir.clone(),
        }
    }

    /// The configuration of a gateway that asks for them.
    pub(crate) fn config(&self) -> Config {
        Config::new(Some(self.dir.path().join("keys")))
    }
}

impl Front {
    pub(crate) async fn start(system: &System) -> Result<Self> {
        Self::start_with(system, |config| config).await
    }

    /// The same with other limits.
    pub(crate) async fn start_with(system: &System, change: impl FnOnce(Config) -> Config) -> Result<Self> {
        Self::start_as(system, Keys::new()?, change).await
    }

    /// The same with keys that another gateway has.
    pub(crate) async fn start_as(
        system: &System,
        keys: Keys,
        change: impl FnOnce(Config) -> Config,
    ) -> Result<Self> {
        let config = change(keys.config());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let nats = system.connect().await?;
        let serving = tokio::spawn(serve(listener, nats.clone(), config, async move {
            drop(stopped.await)
        }));
        Ok(Self {
            url,
            keys,
            nats,
            client: Client::builder().no_proxy().build()?,
            stop,
            serving,
        })
    }

    /// A request as the shop.
    pub(crate) fn shop(&self, method: Method, path: &str) -> RequestBuilder {
        self.anybody(method, path).bearer_auth(&self.keys.shop)
    }

    /// A request as staff.
    pub(crate) fn staff(&self, method: Method, path: &str) -> RequestBuilder {
        self.anybody(method, path).bearer_auth(&self.keys.operator)
    }

    /// A request without a token.
    pub(crate) fn anybody(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.url))
            .timeout(PATIENCE)
    }

    /// What the shop gets.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        Answer::of(self.shop(Method::GET, path)).await
    }

    /// Places an order as the shop.
    pub(crate) async fn place(&self, order: &Value, key: Option<&str>) -> Result<Answer> {
        let mut request = self.shop(Method::POST, "/v1/orders").json(order);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", format!("{key:?}"));
        }
        Answer::of(request).await
    }

    /// Stops it and waits until it has ended.
    pub(crate) async fn stop(self) -> Result<()> {
        let _ = self.stop.send(());
        timeout(PATIENCE, self.serving)
            .await
            .context("the gateway does not end")??
    }
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Result<Self> {
        Self::read(request.send().await?).await
    }

    pub(crate) async fn read(response: Response) -> Result<Self> {
        Ok(Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await?,
        })
    }

    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text)
            .with_context(|| format!("{} {:?} is no JSON", self.status, self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body of an answer with this status.
    pub(crate) fn expect(&self, status: StatusCode) -> Result<Value> {
        ensure!(
            self.status == status.as_u16(),
            "{} {}: {}",
            self.status,
            status,
            self.text
        );
        self.json()
    }

    /// It is this problem, whole.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Result<()> {
        let shown = format!("{} {} is no {status} {code}", self.status, self.text);
        ensure!(self.status == status, shown);
        ensure!(self.header("content-type") == "application/problem+json", shown);
        let body = self.json()?;
        ensure!(body["code"] == code && body["status"] == status, shown);
        ensure!(
            body["type"] == format!("/docs#{code}") && body["title"].is_string(),
            shown
        );
        let id = self.header("x-request-id");
        ensure!(
            !id.is_empty() && body["instance"] == format!("urn:jetsaga:request:{id}"),
            shown
        );
        ensure!(
            body["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
            shown
        );
        Ok(())
    }
}
