use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use reqwest::Client;
use tokio::{
    process::{Child, Command},
    sync::Mutex,
    time::{Instant, sleep},
};

use super::ports;

/// Three nats-servers on loopback that form a cluster, each a process with a store of its own and the default fsync.
/// They tell clients nothing of each other. They end with this value.
#[derive(Debug)]
pub(super) struct Cluster {
    nodes: [Node; 3],
    http: Client,
}

#[derive(Debug)]
struct Node {
    dir: PathBuf,
    port: u16,
    monitor: u16,
    child: Mutex<Option<Child>>,
}

/// How long the cluster may take to be whole after a node was started.
const WHOLE: Duration = Duration::from_secs(30);

impl Cluster {
    /// Starts it with what it stores and logs under `dir`, and waits until JetStream is there.
    ///
    /// # Errors
    /// When a server cannot be started, or they form no cluster within 30 seconds.
    pub(super) async fn start(dir: &Path) -> Result<Self> {
        let [a, b, c, ra, rb, rc, ma, mb, mc] = ports::free::<9>()?;
        let routes = [ra, rb, rc];
        let node = |n: usize, port, monitor| -> Result<Node> {
            let dir = dir.join(format!("nats-{}", n + 1));
            std::fs::create_dir_all(&dir)?;
            std::fs::write(dir.join("nats.conf"), config(n, &dir, port, monitor, &routes))?;
            let child = Mutex::new(None);
            Ok(Node {
                dir,
                port,
                monitor,
                child,
            })
        };
        let nodes = [node(0, a, ma)?, node(1, b, mb)?, node(2, c, mc)?];
        let http = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(2))
            .build()?;
        let cluster = Self { nodes, http };
        for n in 0..3 {
            cluster.start_node(n).await?;
        }
        cluster.whole().await?;
        Ok(cluster)
    }

    /// Where each of them listens for clients.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let address = |node: &Node| SocketAddr::from((Ipv4Addr::LOCALHOST, node.port));
        self.nodes.iter().map(address).collect()
    }

    /// Kills the server `n` with SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// When it ended by itself before.
    pub(super) async fn kill(&self, n: usize) -> Result<()> {
        let node = self.nodes.get(n).context("there are three nodes")?;
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
    pub(super) async fn start_node(&self, n: usize) -> Result<()> {
        let node = self.nodes.get(n).context("there are three nodes")?;
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
    pub(super) async fn whole(&self) -> Result<()> {
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
            let url = format!("http://127.0.0.1:{}/healthz", node.monitor);
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

fn config(n: usize, dir: &Path, port: u16, monitor: u16, routes: &[u16; 3]) -> String {
    let urls = routes
        .map(|port| format!("nats-route://127.0.0.1:{port}"))
        .join(", ");
    let (store, log) = (dir.join("store"), dir.join("nats.log"));
    format!(
        "server_name: nats-{name}\nlisten: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\n\
         log_file: \"{log}\"\n\
         jetstream {{ store_dir: \"{store}\" }}\n\
         cluster {{ name: faults, listen: \"127.0.0.1:{route}\", no_advertise: true, routes: [{urls}] }}\n",
        name = n + 1,
        log = log.display(),
        store = store.display(),
        route = routes.get(n).copied().unwrap_or_default(),
    )
}
