use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use async_nats::{Client, ConnectOptions, HeaderMap, ServerAddr, jetstream};
use bytes::Bytes;
use checkout::stock::Operation;
use inventory::Shelf;
use jetsaga::{Journal, Nats, Token};
use serde_json::Value;
use tokio::sync::Mutex;

use super::{
    fleet::{Fleet, Manner},
    orders::PRODUCTS,
    persist::persist,
};
use crate::harness::{Cluster, Shape};

/// All that a run is done to. Every process ends with this value.
pub(super) struct Site {
    /// The nats-servers.
    pub(super) cluster: Cluster,
    /// Held by whoever kills one of them.
    pub(super) nodes: Mutex<()>,
    /// The workers and the provider.
    pub(super) fleet: Fleet,
    /// An operator's plain connection, to whichever server lives.
    pub(super) client: Client,
    /// JetStream on it.
    pub(super) js: jetstream::Context,
}

/// A stream's refusal of a message, or the API's of a request.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// The server's error code; 0 if there was no answer.
    pub(super) code: u64,
    /// Its words.
    pub(super) text: String,
}

/// How many of each product are in stock.
const STOCK: i64 = 1_000_000;
/// How long the API may take over one request.
const REQUEST: Duration = Duration::from_secs(5);
/// How long a cluster may take until its first streams are there.
const SETTLING: Duration = Duration::from_secs(60);

impl Site {
    /// Starts everything, with streams of three replicas and every product in stock.
    ///
    /// # Errors
    /// Names what did not start.
    pub(super) async fn start(manner: &Manner<'_>) -> Result<Arc<Self>> {
        let cluster = Cluster::start(&manner.dir.join("nats"), Shape::ThreeThatHide).await?;
        let client = connect(&cluster).await?;
        let js = jetstream::new(client.clone());
        let url = cluster.url();
        persist("the streams are made", SETTLING, || provision(&url)).await?;
        let fleet = Fleet::start(manner, &cluster.addresses()).await?;
        Ok(Arc::new(Self {
            cluster,
            nodes: Mutex::new(()),
            fleet,
            client,
            js,
        }))
    }

    /// Where a client finds one of the servers.
    pub(super) fn url(&self) -> String {
        self.cluster.url()
    }

    /// Asks the JetStream API.
    ///
    /// # Errors
    /// When the server does not answer, or answers with an error.
    pub(super) async fn api(&self, request: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        let answer = self.client.request(format!("$JS.API.{request}"), body).await;
        let answer: Value = serde_json::from_slice(&answer.context(request.to_owned())?.payload)?;
        if let Some(error) = answer.get("error") {
            bail!("{request}: {}", error["description"]);
        }
        Ok(answer)
    }
}

/// Publishes to a stream and waits for its word: the sequence there.
///
/// # Errors
/// What the stream answers, or that it does not answer within five seconds.
pub(super) async fn publish(
    client: &Client,
    subject: &str,
    headers: HeaderMap,
    body: Bytes,
) -> Result<u64, Refusal> {
    let lost = |error: &dyn std::fmt::Display| Refusal {
        code: 0,
        text: error.to_string(),
    };
    let request = async_nats::Request::new().headers(headers).payload(body);
    let answer = client.send_request(subject.to_owned(), request).await;
    let answer: Value =
        serde_json::from_slice(&answer.map_err(|e| lost(&e))?.payload).map_err(|error| lost(&error))?;
    match (answer["error"].as_object(), answer["seq"].as_u64()) {
        (None, Some(sequence)) => Ok(sequence),
        (Some(error), _) => Err(Refusal {
            code: error.get("err_code").and_then(Value::as_u64).unwrap_or(0),
            text: error.get("description").map(Value::to_string).unwrap_or_default(),
        }),
        (None, None) => Err(lost(&"an answer without a sequence")),
    }
}

/// A plain connection to the cluster that finds another server when its own dies.
pub(super) async fn connect(cluster: &Cluster) -> Result<Client> {
    let addresses = cluster.addresses();
    let urls: Result<Vec<ServerAddr>, _> = addresses
        .iter()
        .map(|address| format!("nats://{address}").parse())
        .collect();
    let options = ConnectOptions::new()
        .name("faults")
        .request_timeout(Some(REQUEST))
        .reconnect_delay_callback(|_| Duration::from_millis(100))
        .max_reconnects(None);
    Ok(options.connect(urls?).await?)
}

/// Makes every stream and consumer, and puts every product in stock, once.
async fn provision(url: &str) -> Result<()> {
    let nats = Nats::connect(url, "faults").await?;
    let topology = jetsaga_cli::system_topology(&nats, 3).await?;
    topology.ensure(&nats).await?;
    let shelf = Shelf::new(Journal::new(&nats));
    for product in PRODUCTS {
        let (operation, sku) = (Token::new(&format!("seed-{product}"))?, Token::new(product)?);
        shelf.carry_out(Operation::adjust(operation, sku, STOCK)).await?;
    }
    Ok(())
}
