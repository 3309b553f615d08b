use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::counts::Counts;
use crate::ports;

/// A worker process.
pub(super) struct Process {
    name: String,
    child: Child,
    probes: SocketAddr,
}

impl Process {
    /// Starts one worker of this program, by its name, on a port of its own for the probes.
    pub(super) fn start(name: &str, url: &str, flags: &[&str]) -> anyhow::Result<Self> {
        let [port] = ports::free()?;
        let probes = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = Command::new(std::env::current_exe().context("this program has no path")?);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("JETSAGA_")
                || variable.to_string_lossy().starts_with("OTEL_")
            {
                command.env_remove(variable);
            }
        }
        let child = command
            .args(["worker", name, "--nats-url", url, "--log", "error"])
            .args(["--http-listen", &probes.to_string()])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("worker {name} cannot be started"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            probes,
        })
    }

    pub(super) fn id(&self) -> anyhow::Result<u32> {
        self.child
            .id()
            .with_context(|| format!("worker {} has ended", self.name))
    }

    /// Waits until the worker answers its probes, at most ten seconds.
    pub(super) async fn ready(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Ok(answer) = self.probe("readyz").await
                && answer.status().is_success()
            {
                return Ok(());
            }
            self.id()?;
            sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("worker {} is not ready after ten seconds", self.name)
    }

    /// The counters of the engine in it.
    pub(super) async fn counts(&self) -> anyhow::Result<Counts> {
        Ok(Counts::of_metrics(&self.probe("metrics").await?.text().await?))
    }

    /// The value of the counter of this name, which has no labels.
    pub(super) async fn counted(&self, name: &str) -> anyhow::Result<u64> {
        let text = self.probe("metrics").await?.text().await?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.with_context(|| format!("worker {} has no {name}", self.name))?;
        Ok(value.trim().parse()?)
    }

    /// Ends it and waits until it is gone.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    async fn probe(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        reqwest::get(format!("http://{}/{path}", self.probes)).await
    }
}
