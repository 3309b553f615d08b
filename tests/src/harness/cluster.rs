use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use engine::use_ring;
use jetsaga_cli::ports;
use reqwest::Client;
use tokio::{
    process::{Child, Command},
    sync::Mutex,
    time::{Instant, sleep},
};

/// One nats-server on loopback or three that form a cluster, each a process with a store of its own, an address of its
/// own and the default fsync; their ports are the same. They end with this value.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    http: Client,
}

/// How many servers, and what they tell clients of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One.
    Alone,
    /// Three, of which clients and monitors learn.
    Three,
    /// Three that tell clients nothing of each other, who come through proxies.
    ThreeThatHide,
}

#[derive(Debug)]
struct Node {
    dir: PathBuf,
    address: SocketAddr,
    monitor: SocketAddr,
    child: Mutex<Option<Child>>,
}

/// How long the cluster may take to be whole after a node was started.
const WHOLE: Duration = Duration::from_secs(30);

impl Cluster {
    /// Starts it with what it stores and logs under `dir`, and waits until JetStream is there.
    ///
    /// # Errors
    /// When a server cannot be started, or they form no cluster within 30 seconds.
    pub async fn start(dir: &Path, shape: Shape) -> Result<Self> {
        let ports = ports::free::<3>()?;
        let mut nodes = Vec::new();
        for n in 0..shape.nodes() {
            let dir = dir.join(format!("nats-{}", n + 1));
            std::fs::create_dir_all(&dir)?;
            std::fs::write(dir.join("nats.conf"), config(n, &dir, shape, ports))?;
            nodes.push(Node {
                dir,
                address: SocketAddr::from((host(n), ports[0])),
                monitor: SocketAddr::from((host(n), ports[1])),
                child: Mutex::new(None),
            });
        }
        use_ring();
        let http = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(2))
            .build()?;
        let cluster = Self { nodes, http };
        for n in 0..cluster.nodes.len() {
            cluster.start_node(n).await?;
        }
        cluster.whole().await?;
        Ok(cluster)
    }

    /// Where each of them listens for clients.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    /// Where a client finds the first of them.
    pub fn url(&self) -> String {
        self.nodes
            .first()
            .map(|node| format!("nats://{}", node.address))
            .unwrap_or_default()
    }

    /// Where each of them answers monitors.
    pub fn monitors(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.monitor).collect()
    }

    /// Kills the server `n` with SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// When it ended by itself before.
    pub(crate) async fn kill(&self, n: usize) -> Result<()> {
        let node = self.nodes.get(n).context("there is no such node")?;
        let child = node.child.lock().await.take();
        let mut child = child.with_context(|| format!("nats-{} does not run", n + 1))?;
        if let Some(status) = child.try_wait()? {
            bail!(
                "nats-{} ended by itself with {status}; see {}",
                n + 1,
                node.dir.display()
            );
        }
        Ok(child.kill().await?)
    }

    /// Starts the server `n` on its port and its store, if it does not run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) async fn start_node(&self, n: usize) -> Result<()> {
        let node = self.nodes.get(n).context("there is no such node")?;
        let mut child = node.child.lock().await;
        if child.is_none() {
            *child = Some(node.spawn()?);
        }
        Ok(())
    }

    /// Waits until every server runs, leads or follows every stream, and has caught up.
    ///
    /// # Errors
    /// When that takes more than 30 seconds; the error says what is missing.
    pub(crate) async fn whole(&self) -> Result<()> {
        let deadline = Instant::now() + WHOLE;
        loop {
            let missing = self.missing().await;
            match missing {
                None => return Ok(()),
                Some(why) if Instant::now() > deadline => bail!("the cluster is not whole: {why}"),
                Some(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// What the first server that is not well says of itself.
    async fn missing(&self) -> Option<String> {
        for (n, node) in self.nodes.iter().enumerate() {
            let url = format!("http://{}/healthz", node.monitor);
            let said = match self.http.get(url).send().await {
                Ok(answer) if answer.status().is_success() => continue,
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            return Some(format!("nats-{}: {said}", n + 1));
        }
        None
    }
}

impl Node {
    fn spawn(&self) -> Result<Child> {
        let binary = std::env::var_os("NATS_SERVER").unwrap_or_else(|| "nats-server".into());
        let command = Command::new(&binary)
            .arg("--config")
            .arg(self.dir.join("nats.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        command.with_context(|| {
            let binary = Path::new(&binary).display();
            format!("{binary} cannot be started; set NATS_SERVER to a nats-server of 2.14.4 or newer")
        })
    }
}

impl Shape {
    /// How many servers.
    pub const fn nodes(self) -> usize {
        match self {
            Self::Alone => 1,
            Self::Three | Self::ThreeThatHide => 3,
        }
    }
}

/// Every address under 127 is this machine.
fn host(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, u8::try_from(n + 1).unwrap_or(1))
}

fn config(n: usize, dir: &Path, shape: Shape, [port, monitor, route]: [u16; 3]) -> String {
    let (name, host, store, log) = (n + 1, host(n), dir.join("store"), dir.join("nats.log"));
    let alone = format!(
        "server_name: nats-{name}\nlisten: \"{host}:{port}\"\nhttp: \"{host}:{monitor}\"\n\
         log_file: \"{log}\"\n\
         jetstream {{ store_dir: \"{store}\" }}\n",
        log = log.display(),
        store = store.display(),
    );
    if shape == Shape::Alone {
        return alone;
    }
    let routes = (0..shape.nodes()).map(|n| format!("nats-route://{}:{route}", self::host(n)));
    let routes = routes.collect::<Vec<_>>().join(", ");
    let hides = shape == Shape::ThreeThatHide;
    format!(
        "{alone}cluster {{ name: tests, listen: \"{host}:{route}\", no_advertise: {hides}, routes: [{routes}] }}\n"
    )
}
