use std::{
    fs::File,
    io::Read as _,
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
    /// Held by us and by the server, so that nobody else starts on the same store while either lives.
    lock: File,
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
        let lock = lock(store)?;
        let (child, port) = spawn(&binary, store, port, &lock).await?;
        Ok(Self {
            child,
            binary,
            store: store.to_owned(),
            port,
            lock,
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
        (self.child, _) = spawn(&self.binary, &self.store, self.port, &self.lock).await?;
        Ok(())
    }

    /// Waits until it has died by itself, and says what its last words were.
    pub(crate) async fn died(&mut self) -> anyhow::Error {
        let ended = self.child.wait().await;
        let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        let words = last_words(&self.store.join(LOG), 0);
        anyhow::anyhow!("the nats-server ended with {status}: {words}")
    }

    /// Ends it and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// The name of the server's log in its store.
const LOG: &str = "nats-server.log";

/// The binary: what `NATS_SERVER` names, else `nats-server` on the PATH.
fn binary() -> PathBuf {
    std::env::var_os("NATS_SERVER").map_or_else(|| PathBuf::from("nats-server"), PathBuf::from)
}

/// The store for us alone, or the process that has it. The lock lives as long as a process that holds it open: we, and
/// the server that we start, even if we are killed.
fn lock(store: &Path) -> anyhow::Result<File> {
    let path = store.join("lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let file = file
        .as_mut()
        .map_err(|error| anyhow::anyhow!("{} cannot be opened: {error}", path.display()))?;
    if let Err(error) = file.try_lock() {
        let mut holders = String::new();
        file.read_to_string(&mut holders)?;
        anyhow::bail!(
            "{} is in use by another jetsaga, or by the nats-server that one left behind ({}): stop it, or name another \
             --store ({error})",
            store.display(),
            holders.trim()
        );
    }
    Ok(file.try_clone()?)
}

async fn spawn(binary: &Path, store: &Path, port: u16, lock: &File) -> anyhow::Result<(Child, u16)> {
    let log = store.join(LOG);
    let said = std::fs::metadata(&log).map_or(0, |file| file.len());
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
        .stdin(lock.try_clone()?) // it never reads, but it holds the lock
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
    let pid = child.id().context("the nats-server ended at once")?;
    let holders = format!("jetsaga is process {}, nats-server {pid}", std::process::id());
    std::fs::write(store.join("lock"), holders + "\n")?;
    wait_until_it_listens(child, store, (&log, said)).await
}

async fn wait_until_it_listens(
    mut child: Child,
    store: &Path,
    (log, said): (&Path, u64),
) -> anyhow::Result<(Child, u16)> {
    let pid = child.id().context("the nats-server ended at once")?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if let Some(port) = listening(store, pid)
            && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        {
            return Ok((child, port));
        }
        if let Some(status) = child.try_wait()? {
            anyhow::bail!("the nats-server ended with {status}: {}", last_words(log, said));
        }
        sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!(
        "the nats-server does not listen after ten seconds: {}",
        last_words(log, said)
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

/// The last lines of the log after its first `said` bytes, which an earlier server wrote.
fn last_words(log: &Path, said: u64) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let new = text
        .get(usize::try_from(said).unwrap_or(usize::MAX)..)
        .unwrap_or_default();
    if new.is_empty() {
        return "it said nothing".to_owned();
    }
    String::from_utf8_lossy(new)
        .lines()
        .rev()
        .take(3)
        .collect::<Vec<_>>()
        .join(" / ")
}
