use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jetsaga::{Freshness, Journal, Nats, State, Token, subject::EntitySubject};
use jetsaga_tests::harness::{Guarded, Process, Provider, until};
use reqwest::{Client, Method};
use serde_json::Value;

/// The whole checkout as processes, each a user of its own.
pub(crate) struct Crew {
    pub(crate) site: Guarded,
    pub(crate) provider: Provider,
    /// The connection of the operator.
    pub(crate) operator: Nats,
    pub(crate) workers: Vec<(&'static str, Process)>,
    http: Client,
    gateway: String,
}

/// Every worker, the gateway last: it wants the database that the projector makes.
const WORKERS: [&str; 8] = [
    "order",
    "payment",
    "inventory",
    "shipping",
    "notifier",
    "outbound",
    "projector",
    "gateway",
];
/// How long an order may stay open.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

impl Crew {
    /// Makes the streams, stocks the shelves and starts these workers.
    pub(crate) async fn start(only: Option<&[&str]>) -> Result<Self> {
        let site = Guarded::with_users().await?;
        site.run("topology", &["topology", "ensure"]).await?;
        let stock = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/seed/stock.json");
        site.run("operator", &["stock", "seed", stock]).await?;
        let mut crew = Self {
            provider: Provider::start(site.dir()).await?,
            operator: site.connect("operator").await?,
            site,
            workers: Vec::new(),
            http: Client::builder().no_proxy().build()?,
            gateway: String::new(),
        };
        for name in WORKERS
            .into_iter()
            .filter(|name| only.is_none_or(|only| only.contains(name)))
        {
            crew.employ(name, "info").await?;
        }
        Ok(crew)
    }

    /// Starts a worker.
    pub(crate) async fn employ(&mut self, name: &'static str, log: &str) -> Result<()> {
        if name == "gateway" {
            self.until_working().await?;
        }
        let mut command = self.site.command(name, &["worker", name]);
        let command = command.as_mut().map_err(|error| anyhow::anyhow!("{error}"))?;
        command
            .env("JETSAGA_LOG", log)
            .env("JETSAGA_HTTP_LISTEN", "127.0.0.1:0")
            .env("PAYMENT_PROVIDER_URL", &self.provider.url)
            .env("ORDER_DEADLINE", format!("{}s", DEADLINE.as_secs()))
            .env("NOTIFIER_FILE", self.site.dir().join("notices.jsonl"))
            .env(
                "DATABASE_URL",
                format!("sqlite:{}", self.site.dir().join("read.db").display()),
            )
            .env("GATEWAY_LISTEN", "127.0.0.1:0")
            .env("GATEWAY_WITHOUT_AUTHENTICATION", "true");
        let process = Process::start(command)?;
        if name == "gateway" {
            let address = process.until_said("the gateway listens address=").await?;
            self.gateway = format!("http://{address}");
        }
        self.workers.push((name, process));
        Ok(())
    }

    /// Waits until every worker works.
    pub(crate) async fn until_working(&self) -> Result<()> {
        for (name, worker) in &self.workers {
            worker
                .until_said("working")
                .await
                .with_context(|| (*name).to_owned())?;
        }
        Ok(())
    }

    /// Asks the gateway.
    pub(crate) async fn http(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, String)> {
        let mut request = self.http.request(method, format!("{}{path}", self.gateway));
        if let Some(body) = body {
            request = request
                .header("idempotency-key", format!("\"{path}\""))
                .json(&body);
        }
        let answer = request.timeout(Duration::from_secs(20)).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Publishes to the inbox or the journal as the operator, and waits for the server's word.
    pub(crate) async fn publish(&self, subject: &str, body: &str) -> Result<()> {
        let sent = self
            .operator
            .jetstream
            .publish(subject.to_owned(), body.to_owned().into());
        sent.await?.await?;
        Ok(())
    }

    /// Waits for a state of an order.
    pub(crate) async fn until(
        &self,
        id: &str,
        what: &str,
        reached: impl Fn(&State) -> bool,
    ) -> Result<State> {
        let journal = Journal::new(&self.operator);
        let entity = EntitySubject::new(&Token::new("checkout")?, &Token::new(id)?);
        until(&format!("{id} {what}"), async || {
            let found = journal.last::<State>(&entity, Freshness::Leader).await?;
            Ok(found.map(|found| found.state).filter(&reached))
        })
        .await
    }

    /// Ends every worker, which has to drain, and returns what any of them was not allowed, as they and the server say.
    pub(crate) async fn stop(self) -> Result<Vec<String>> {
        let mut complaints = Vec::new();
        for (_, worker) in &self.workers {
            worker.terminate().await?;
        }
        for (name, worker) in self.workers {
            let (code, said) = worker.ended().await?;
            ensure!(code == Some(0), "{name} ends with {code:?}: {said}");
            let loud = said.lines().filter(|line| line.contains("does not let us"));
            complaints.extend(loud.map(|line| format!("{name}: {line}")));
        }
        let log = self.site.log();
        complaints.extend(
            log.lines()
                .filter(|line| line.contains("Publish Violation") || line.contains("Subscription Violation"))
                .map(str::to_owned),
        );
        Ok(complaints)
    }
}
