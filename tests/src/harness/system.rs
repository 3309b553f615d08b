use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use async_nats::{HeaderMap, jetstream};
use checkout::stock::{Operation, Product};
use futures_util::StreamExt as _;
use inventory::Shelf;
use jetsaga::{
    Freshness, Journal, Letter, Letters, Nats, Recorded, State, Token,
    subject::{EVENTS, EntitySubject},
};
use jetsaga_cli::NatsServer;
use serde_json::Value;
use tempfile::TempDir;

use super::{PATIENCE, Provider, Role, Running, until};

/// A nats-server with everything of the checkout on it but the workers, which a test starts.
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

/// A message of the journal, as the server keeps it.
#[derive(Clone, Debug)]
pub struct RawEvent {
    /// Its stream sequence.
    pub sequence: u64,
    /// Where it was published.
    pub subject: String,
    /// What came with it.
    pub headers: HeaderMap,
    /// What was published, as text.
    pub body: String,
}

impl System {
    /// Starts the server and the provider, and makes every stream and consumer. No worker runs, nothing is in stock.
    ///
    /// # Errors
    /// When the server or the provider does not start.
    pub async fn bare() -> Result<Self> {
        let dir = TempDir::new()?;
        let server = NatsServer::start(&dir.path().join("nats"), 0).await?;
        let client = async_nats::connect(server.url()).await?;
        let nats = Nats::connect(&server.url(), "operator").await?;
        jetsaga_cli::system_topology(&nats, 1)
            .await?
            .ensure(&nats)
            .await?;
        Ok(Self {
            js: jetstream::new(client.clone()),
            client,
            journal: Journal::open(&nats).await?,
            letters: Letters::open(&nats).await?,
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

    /// The subjects of one order's saga.
    ///
    /// # Errors
    /// When `id` is no token.
    pub fn entity(&self, id: &str) -> Result<EntitySubject> {
        Ok(EntitySubject::new(&Token::new("checkout")?, &Token::new(id)?))
    }

    /// The latest state of an order's saga.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn state(&self, id: &str) -> Result<Option<State>> {
        let found = self
            .journal
            .last::<State>(&self.entity(id)?, Freshness::Leader)
            .await?;
        Ok(found.map(|found| found.state))
    }

    /// Waits for a state of an order's saga, and returns it.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn until(&self, id: &str, what: &str, reached: impl Fn(&State) -> bool) -> Result<State> {
        let sought = until(what, async || Ok(self.state(id).await?.filter(&reached)));
        match sought.await {
            Ok(state) => Ok(state),
            Err(error) => Err(error.context(format!("{id} is at {:?}", self.state(id).await?))),
        }
    }

    /// Waits until an order is completed or cancelled, and returns its last state.
    ///
    /// # Errors
    /// When it does not come to an end.
    pub async fn until_final(&self, id: &str) -> Result<State> {
        self.until(id, "final", State::is_final).await
    }

    /// Everything that happened to an order, oldest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn history(&self, id: &str) -> Result<Vec<Recorded<State>>> {
        Ok(self.journal.history(&self.entity(id)?).await?)
    }

    /// Every message of the journal, as the server keeps it.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn raw_events(&self) -> Result<Vec<RawEvent>> {
        let stream = self.js.get_stream(EVENTS).await?;
        let mut events = Vec::new();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            let message = stream.get_raw_message(sequence).await?;
            events.push(RawEvent {
                sequence,
                subject: message.subject.to_string(),
                headers: message.headers,
                body: String::from_utf8_lossy(&message.payload).into_owned(),
            });
        }
        Ok(events)
    }

    /// The sequence of the journal's last event.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn journal_end(&self) -> Result<u64> {
        Ok(self
            .js
            .get_stream(EVENTS)
            .await?
            .cached_info()
            .state
            .last_sequence)
    }

    /// Waits until there are `count` dead letters, and returns them.
    ///
    /// # Errors
    /// When there are fewer, or more.
    pub async fn until_letters(&self, count: usize) -> Result<Vec<Letter>> {
        let what = format!("{count} letters");
        let letters = until(&what, async || {
            let letters = self.letters.list().await?;
            Ok(Some(letters).filter(|letters| letters.len() >= count))
        });
        let letters = letters.await?;
        anyhow::ensure!(letters.len() == count, "{count} letters are wanted: {letters:#?}");
        Ok(letters)
    }

    /// Waits until every message of every stream is acknowledged and nothing is scheduled to come again.
    ///
    /// # Errors
    /// When something is left.
    pub async fn until_idle(&self) -> Result<()> {
        until("everything is acknowledged", async || {
            Ok(self.is_idle().await?.then_some(()))
        })
        .await
    }

    async fn is_idle(&self) -> Result<bool> {
        for name in [EVENTS, "INBOX", "TIMERS", "RETRY"] {
            let stream = self.js.get_stream(name).await?;
            let mut consumers = stream.consumers();
            while let Some(consumer) = consumers.next().await {
                let consumer = consumer?;
                if consumer.num_pending > 0 || consumer.num_ack_pending > 0 {
                    return Ok(false);
                }
            }
        }
        let retries = self.js.get_stream("RETRY").await?;
        let mut scheduled = retries.info_with_subjects("retry.>").await?;
        Ok(scheduled.next().await.is_none())
    }

    /// Puts `quantity` of a product on hand, once.
    ///
    /// # Errors
    /// When the journal does not take it.
    pub async fn stock(&self, sku: &str, quantity: i64) -> Result<()> {
        let (operation, sku) = (Token::new(&format!("seed-{sku}"))?, Token::new(sku)?);
        self.shelf()
            .carry_out(Operation::adjust(operation, sku, quantity))
            .await?;
        Ok(())
    }

    /// What is known of a product.
    ///
    /// # Errors
    /// When there is no such product.
    pub async fn product(&self, sku: &str) -> Result<Product> {
        let product = self.shelf().product(&Token::new(sku)?).await?;
        product.with_context(|| format!("there is no {sku}"))
    }

    fn shelf(&self) -> Shelf {
        Shelf::new(self.journal.clone())
    }
}
