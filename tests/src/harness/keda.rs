use engine::use_ring;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use reqwest::Client;
use serde_json::Value;

/// The lag of consumers as KEDA's scaler `nats-jetstream` takes it, from the monitoring port and nothing else.
///
/// It asks one address, in a cluster a service in front of all servers, what JetStream holds. Alone that is the answer. In
/// a cluster each server answers for itself, and only the consumer's leader knows: the scaler asks that address who the
/// servers are (`connect_urls` of `/varz`), asks each for its name on the same port, and believes the one that the
/// consumer names as its leader. A consumer that nobody shows counts as far behind as its stream is long.
#[derive(Debug)]
pub struct Keda {
    http: Client,
    endpoint: SocketAddr,
}

impl Keda {
    /// A scaler whose `natsServerMonitoringEndpoint` is this.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(endpoint: SocketAddr) -> Result<Self> {
        use_ring();
        let http = Client::builder().no_proxy().build()?;
        Ok(Self { http, endpoint })
    }

    /// The lag that it scales by.
    ///
    /// # Errors
    /// When a server does not answer, or does not know the stream.
    pub async fn lag(&self, stream: &str, consumer: &str) -> Result<u64> {
        let first = self.jetstream(self.endpoint).await?;
        if first["meta_cluster"]["cluster_size"].as_u64().unwrap_or(0) < 2 {
            return lag(&first, stream, consumer);
        }
        for server in self.servers().await? {
            let name = self.get(server, "varz").await?["server_name"].clone();
            let shown = self.jetstream(server).await?;
            let found = find(&shown, stream).and_then(|stream| of(stream, consumer));
            if found.is_some_and(|found| found["cluster"]["leader"] == name) {
                return lag(&shown, stream, consumer);
            }
        }
        lag(&first, stream, consumer)
    }

    /// Every server's monitor: the host that it tells clients of, and the port of the endpoint.
    async fn servers(&self) -> Result<Vec<SocketAddr>> {
        let varz = self.get(self.endpoint, "varz").await?;
        let told = varz["connect_urls"].as_array().context("no server is told of")?;
        let address = |url: &Value| -> Result<SocketAddr> {
            let host = url.as_str().and_then(|url| url.split(':').next());
            Ok(SocketAddr::new(
                host.context("no host")?.parse()?,
                self.endpoint.port(),
            ))
        };
        told.iter().map(address).collect()
    }

    async fn jetstream(&self, server: SocketAddr) -> Result<Value> {
        self.get(server, "jsz?acc=$G&consumers=true&config=true").await
    }

    async fn get(&self, server: SocketAddr, path: &str) -> Result<Value> {
        let answer = self.http.get(format!("http://{server}/{path}")).send().await?;
        Ok(serde_json::from_slice(
            &answer.error_for_status()?.bytes().await?,
        )?)
    }
}

fn lag(shown: &Value, stream: &str, consumer: &str) -> Result<u64> {
    let number = |value: &Value| {
        value
            .as_u64()
            .with_context(|| format!("a number is missing: {value}"))
    };
    let found = find(shown, stream).with_context(|| format!("no stream {stream}"))?;
    match of(found, consumer) {
        Some(found) => Ok(number(&found["num_pending"])? + number(&found["num_ack_pending"])?),
        None => number(&found["state"]["last_seq"]),
    }
}

fn find<'a>(shown: &'a Value, stream: &str) -> Option<&'a Value> {
    let accounts = shown["account_details"].as_array()?;
    let account = accounts.iter().find(|account| account["name"] == "$G")?;
    let mut streams = account["stream_detail"].as_array()?.iter();
    streams.find(|found| found["name"] == stream)
}

fn of<'a>(stream: &'a Value, consumer: &str) -> Option<&'a Value> {
    let mut consumers = stream["consumer_detail"].as_array()?.iter();
    consumers.find(|found| found["name"] == consumer)
}
