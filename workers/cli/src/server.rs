use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use serde::Deserialize;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

/// A nats-server of our own: a child process on loopback with its own store, ended when this value is dropped.
#[derive(Debug)]
pub struct NatsServer {
    child: Child,
    binary: PathBuf,
    store: PathBuf,
    port: u16,
}

impl NatsServer {
    /// Starts `nats-server` with JetStream on `store`, and waits until it listens. Port 0 takes a free one.
    ///
    /// # Errors
    /// When there is no binary, or it ends at once (its last words are in the error), or does not listen within ten
    /// seconds.
    pub async fn start(store: &Path, port: u16) -> anyhow::Result<Self> {
        let binary = binary();
        std::fs::create_dir_all(store).with_context(|| format!("{} cannot be made", store.display()))?;
        let (child, port) = spawn(&binary, store, port).await?;
        Ok(Self {
            child,
            binary,
            store: store.to_owned(),
            port,
        })
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Kills it with SIGKILL and starts it again on the same port and store.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        (self.child, _) = spawn(&self.binary, &self.store, self.port).await?;
        Ok(())
    }

    /// Ends it and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// The binary: what `NATS_SERVER` names, else `nats-server` on the PATH.
fn binary() -> PathBuf {
    std::env::var_os("NATS_SERVER").map_or_else(|| PathBuf::from("nats-server"), PathBuf::from)
}

async fn spawn(binary: &Path, store: &Path, port: u16) -> anyhow::Result<(Child, u16)> {
    let log = store.join("nats-server.log");
    if port != 0 {
        let taken = std::net::TcpListener::bind(("127.0.0.1", port));
        drop(taken.with_context(|| format!("port {port} is in use; name another with --nats-port"))?);
    }
    let asked = if port == 0 {
        "-1".to_owned()
    } else {
        port.to_string()
    };
    let child = Command::new(binary)
        .args(["--addr", "127.0.0.1", "--port", &asked, "--jetstream"])
        .arg("--store_dir")
        .arg(store)
        .arg("--ports_file_dir")
        .arg(store)
        .arg("--log")
        .arg(&log)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .process_group(0) // ctrl-c in a terminal ends us, and it only after our workers have drained
        .spawn()
        .with_context(|| {
            format!(
                "{} cannot be started; set NATS_SERVER to a nats-server of 2.14.4 or newer, or put one on the PATH",
                binary.display()
            )
        })?;
    wait_until_it_listens(child, store, &log).await
}

async fn wait_until_it_listens(mut child: Child, store: &Path, log: &Path) -> anyhow::Result<(Child, u16)> {
    let pid = child.id().context("the nats-server ended at once")?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if let Some(port) = listening(store, pid)
            && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        {
            return Ok((child, port));
        }
        if let Some(status) = child.try_wait()? {
            anyhow::bail!("the nats-server ended with {status}: {}", last_words(log));
        }
        sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!(
        "the nats-server does not listen after ten seconds: {}",
        last_words(log)
    )
}

#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

/// The port that the server says it has, in the file that it writes once it listens.
fn listening(store: &Path, pid: u32) -> Option<u16> {
    let text = std::fs::read(store.join(format!("nats-server_{pid}.ports"))).ok()?;
    let ports: Ports = serde_json::from_slice(&text).ok()?;
    ports.nats.first()?.rsplit(':').next()?.parse().ok()
}

fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().take(3).collect::<Vec<_>>().join(" / ")
}
