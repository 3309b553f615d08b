use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use async_nats::{HeaderMap, jetstream};
use futures_util::StreamExt as _;
use jetsaga::{Journal, Letters, Nats, Topology};
use jetsaga_cli::NatsServer;
use serde_json::Value;
use tempfile::TempDir;

use super::{Cluster, PATIENCE, Provider, Role, Running, Shape, until};

/// A nats-server, or a [`Cluster`], with the streams on it; a test starts the workers, which bring their consumers.
pub struct System<S = NatsServer> {
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
    /// Where clients connect.
    pub url: String,
    /// The server; it ends with this value, before its directory goes.
    pub server: S,
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
        let url = server.url();
        let provider = Provider::start(dir.path()).await?;
        let system = Self::with(server, url, provider, dir).await?;
        Topology::new(1).ensure(&system.nats).await?;
        Ok(system)
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
}

impl System<Cluster> {
    /// The same as [`System::bare`] on such servers, with replicas on all of them.
    ///
    /// # Errors
    /// As [`System::bare`].
    pub async fn on(shape: Shape) -> Result<Self> {
        let dir = TempDir::new()?;
        let server = Cluster::start(&dir.path().join("nats"), shape).await?;
        let url = server.url();
        let provider = Provider::start(dir.path()).await?;
        let system = Self::with(server, url, provider, dir).await?;
        // The first streams of a cluster may find no leader yet.
        until("the streams are made", async || {
            let made = Topology::new(shape.nodes()).ensure(&system.nats).await;
            Ok(made.ok())
        })
        .await?;
        Ok(system)
    }
}

impl<S> System<S> {
    async fn with(server: S, url: String, provider: Provider, dir: TempDir) -> Result<Self> {
        let client = async_nats::connect(&url).await?;
        let nats = Nats::connect(&url, "operator").await?;
        Ok(Self {
            js: jetstream::new(client.clone()),
            client,
            journal: Journal::new(&nats),
            letters: Letters::new(&nats),
            nats,
            provider,
            order_deadline: Duration::from_secs(15 * 60),
            url,
            server,
            dir,
        })
    }

    /// Ends the server, whose store is never looked at again, and goes on with what `start` makes of a new folder: the
    /// world outside, here the payment provider, has seen all that happened before.
    ///
    /// # Errors
    /// When the new one does not start or does not answer.
    pub async fn moved<T>(self, start: impl AsyncFnOnce(&Path) -> Result<(T, String)>) -> Result<System<T>> {
        let Self {
            server,
            provider,
            dir,
            ..
        } = self;
        drop(server);
        let (server, url) = start(&dir.path().join("another")).await?;
        System::with(server, url, provider, dir).await
    }

    /// A folder that goes with the system.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Another connection, for a worker.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn connect(&self) -> Result<Nats> {
        Ok(Nats::connect(&self.url, "worker").await?)
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
