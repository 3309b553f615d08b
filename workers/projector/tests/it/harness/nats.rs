use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

/// A nats-server of a test's own, ended with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) dir: TempDir,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        Self::start_in(TempDir::new()?)
    }

    /// One with what is stored in this directory.
    pub(crate) fn start_in(dir: TempDir) -> Result<Self> {
        let binary =
            std::env::var_os("NATS_SERVER").map_or_else(|| PathBuf::from("nats-server"), PathBuf::from);
        let mut child = Command::new(&binary)
            .args([
                "--addr",
                "127.0.0.1",
                "--port",
                "-1",
                "--jetstream",
                "--store_dir",
            ])
            .arg(dir.path())
            .arg("--ports_file_dir")
            .arg(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} cannot be started; set NATS_SERVER", binary.display()))?;
        match listening(&mut child, dir.path()) {
            Ok(url) => Ok(Self { child, dir, url }),
            Err(error) => {
                child.kill()?;
                Err(error)
            }
        }
    }

    /// Ends it; what it stored is left.
    pub(crate) fn stop(mut self) -> Result<TempDir> {
        self.child.kill()?;
        self.child.wait()?;
        let fresh = TempDir::new()?;
        Ok(std::mem::replace(&mut self.dir, fresh))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may be gone
        let _ = self.child.wait();
    }
}

fn listening(child: &mut Child, dir: &Path) -> Result<String> {
    let ports = dir.join(format!("nats-server_{}.ports", child.id()));
    let limit = Instant::now() + Duration::from_secs(20);
    while Instant::now() < limit {
        let text = std::fs::read(&ports).unwrap_or_default();
        if let Ok(ports) = serde_json::from_slice::<Value>(&text)
            && let Some(url) = ports["nats"][0].as_str()
        {
            return Ok(url.to_owned());
        }
        if let Some(status) = child.try_wait()? {
            bail!("the nats-server ended with {status}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("the nats-server does not listen")
}
