use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use async_nats::{HeaderMap, jetstream};
use futures_util::StreamExt as _;
use jetsaga::{Journal, Letters, Nats, Topology};
use jetsaga_cli::NatsServer;
use serde_json::Value;
use tempfile::TempDir;

use super::{PATIENCE, Provider, Role, Running};

/// A nats-server with the streams on it; a test starts the workers, which bring their consumers.
pub struct System {
    /// A plain connection that knows nothing of Jetsaga.
    pub client: async_nats::Client,
    /// JetStream on it.
    pub js: jetstream::Context,
    /// The connection of an operator.
    pub nats: Nats,
    /// The journal.
    pub journal: Journal,
    /// The dead letters.
    pub letters: Letters,
    /// The payment provider.
    pub provider: Provider,
    /// The deadline that order workers write into orders.
    pub order_deadline: Duration,
    /// The server; it ends with this value, before its directory goes.
    pub server: NatsServer,
    dir: TempDir,
}

impl System {
    /// Starts the server and the provider, and makes every stream. No worker runs, nothing is in stock.
    ///
    /// # Errors
    /// When the server or the provider does not start.
    pub async fn bare() -> Result<Self> {
        let dir = TempDir::new()?;
        let server = NatsServer::start(&dir.path().join("nats"), 0).await?;
        let client = async_nats::connect(server.url()).await?;
        let nats = Nats::connect(&server.url(), "operator").await?;
        Topology::new(1).ensure(&nats).await?;
        Ok(Self {
            js: jetstream::new(client.clone()),
            client,
            journal: Journal::new(&nats),
            letters: Letters::new(&nats),
            nats,
            provider: Provider::start(dir.path()).await?,
            order_deadline: Duration::from_secs(15 * 60),
            server,
            dir,
        })
    }

    /// A system in which the checkout runs and its two products are in stock, 1,000 each. The workers run for as
    /// long as what is returned with it is kept.
    ///
    /// # Errors
    /// As [`Self::bare`].
    pub async fn checkout() -> Result<(Self, Vec<Running>)> {
        let system = Self::bare().await?;
        for sku in ["PROD-A1", "PROD-B2"] {
            system.stock(sku, 1_000).await?;
        }
        let running = system.start_all(&Role::CHECKOUT).await?;
        Ok((system, running))
    }

    /// Another connection, for a worker.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn connect(&self) -> Result<Nats> {
        Ok(Nats::connect(&self.server.url(), "worker").await?)
    }

    /// Where the notifier writes.
    pub fn notices(&self) -> PathBuf {
        self.dir.path().join("notices.jsonl")
    }

    /// Publishes to a stream as any client would, and returns the sequence in that stream.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn publish(&self, subject: &str, body: impl Into<Vec<u8>>) -> Result<u64> {
        self.publish_with(subject, HeaderMap::new(), body).await
    }

    /// The same with headers.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn publish_with(
        &self,
        subject: &str,
        headers: HeaderMap,
        body: impl Into<Vec<u8>>,
    ) -> Result<u64> {
        let body = body.into().into();
        let stored = self
            .js
            .publish_with_headers(subject.to_owned(), headers, body)
            .await?;
        Ok(stored.await?.sequence)
    }

    /// Publishes an event to the inbox of the checkout, under its own type.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn place(&self, event: &Value) -> Result<u64> {
        let event_type = event["eventType"].as_str().context("an event has a type")?;
        self.publish(&format!("in.checkout.{event_type}"), event.to_string())
            .await
    }

    /// The same, and waits for the order worker's answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(&self, event: &Value) -> Result<Value> {
        let event_type = event["eventType"].as_str().context("an event has a type")?;
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await?;
        let mut headers = HeaderMap::new();
        headers.insert("Jetsaga-Reply", inbox.as_str());
        self.publish_with(&format!("in.checkout.{event_type}"), headers, event.to_string())
            .await?;
        let answer = tokio::time::timeout(PATIENCE, answers.next()).await;
        let answer = answer
            .ok()
            .flatten()
            .context("the order worker does not answer")?;
        Ok(serde_json::from_slice(&answer.payload)?)
    }
}
