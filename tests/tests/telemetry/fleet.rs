use anyhow::Result;
use jetsaga_tests::harness::{Process, System, jetsaga};
use tokio::process::Command;

/// The workers of a checkout as processes that say what they do.
pub(crate) struct Fleet<'a> {
    system: &'a System,
    /// Where they send it.
    otlp: &'a str,
}

/// A system with goods in stock and no worker.
pub(crate) async fn stocked() -> Result<System> {
    let system = System::bare().await?;
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 100).await?;
    }
    Ok(system)
}

impl<'a> Fleet<'a> {
    pub(crate) fn new(system: &'a System, otlp: &'a str) -> Self {
        Self { system, otlp }
    }

    pub(crate) async fn start(&self, worker: &str) -> Result<Process> {
        self.start_with(worker, |command| command).await
    }

    /// Starts a worker with whatever else `more` says.
    pub(crate) async fn start_with(
        &self,
        worker: &str,
        more: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Process> {
        let mut command = self.command(worker)?;
        match worker {
            "payment" => command.args(["--payment-provider-url", &self.system.provider.url]),
            "shipping" => command.args(["--shipping-refused-zips", "00000"]),
            _ => &mut command,
        };
        let process = Process::start(more(&mut command))?;
        process.until_said("working").await?;
        Ok(process)
    }

    /// A gateway without authentication, and where it listens.
    pub(crate) async fn gateway(&self) -> Result<(Process, String)> {
        let mut command = self.command("gateway")?;
        command.args([
            "--gateway-listen",
            "127.0.0.1:0",
            "--gateway-without-authentication",
        ]);
        let process = Process::start(&mut command)?;
        let address = process.until_said("the gateway listens address=").await?;
        Ok((process, format!("http://{address}")))
    }

    fn command(&self, worker: &str) -> Result<Command> {
        let mut command = jetsaga()?;
        command
            .args(["worker", worker, "--provision"])
            .args(["--nats-url", &self.system.server.url()])
            .args(["--otlp-endpoint", self.otlp])
            .args(["--otlp-metrics-interval", "100"])
            .env("OTEL_BSP_SCHEDULE_DELAY", "100");
        Ok(command)
    }
}
