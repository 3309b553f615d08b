use anyhow::{Context as _, Result};
use jetsaga::{
    EngineArgs, Nats, Worker,
    clap::{Args as _, Command, FromArgMatches as _},
};
use tokio::{process::Command as ProcessCommand, sync::watch, task::JoinHandle, time::timeout};

use super::{PATIENCE, System};

/// A worker of the checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Lets orders in, and ends what was taken back.
    Order,
    /// Charges.
    Payment,
    /// Reserves.
    Inventory,
    /// Ships.
    Shipping,
    /// Tells customers.
    Notifier,
}

impl Role {
    /// What it takes to finish an order.
    pub const CHECKOUT: [Self; 4] = [Self::Order, Self::Payment, Self::Inventory, Self::Shipping];
}

/// A worker that runs in this process, on a connection of its own.
#[derive(Debug)]
pub struct Running {
    /// Its connection, with its metrics.
    pub nats: Nats,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<()>>,
}

impl Running {
    /// Ends it where it stands, as a kill would: nothing is drained, and what it holds is not given back.
    ///
    /// # Errors
    /// When it had ended before, with an error.
    pub async fn kill(self) -> Result<()> {
        self.task.abort();
        match self.task.await {
            Err(error) if error.is_cancelled() => Ok(()),
            ended => ended?,
        }
    }

    /// Drains it and waits until it has ended.
    ///
    /// # Errors
    /// When it does not end, or ends with an error.
    pub async fn stop(self) -> Result<()> {
        self.stop.send_replace(true);
        timeout(PATIENCE, self.task)
            .await
            .context("the worker does not drain")??
    }
}

impl<S> System<S> {
    /// The worker of this role, as its process would build it.
    ///
    /// # Errors
    /// When it cannot be built.
    pub async fn worker(&self, role: Role, nats: &Nats) -> Result<Worker> {
        let nats = nats.clone();
        match role {
            Role::Order => {
                let order_deadline = self.order_deadline;
                order::worker(order::Args { order_deadline }, nats).await
            }
            Role::Payment => {
                let payment_provider_url = self.provider.url.clone();
                let payment_currency = "usd".to_owned();
                let args = payment::Args {
                    payment_provider_url,
                    payment_currency,
                };
                payment::worker(args, nats).await
            }
            Role::Inventory => inventory::worker(inventory::Args {}, nats).await,
            Role::Shipping => {
                let shipping_refused_zips = vec!["00000".to_owned()];
                shipping::worker(
                    shipping::Args {
                        shipping_refused_zips,
                    },
                    nats,
                )
                .await
            }
            Role::Notifier => {
                let notifier_file = self.notices();
                notifier::worker(
                    notifier::Args {
                        notifier_file,
                        notifier_webhook: None,
                    },
                    nats,
                )
                .await
            }
        }
    }

    /// Has `tool`, which is `jetsaga` or another build of it, run a worker of this role as a process of its own.
    pub fn as_process(&self, role: Role, mut tool: ProcessCommand) -> ProcessCommand {
        let (name, flag, value) = match role {
            Role::Order => ("order", "--order-deadline", "15m"),
            Role::Payment => ("payment", "--payment-provider-url", &*self.provider.url),
            Role::Inventory => ("inventory", "--handler-limit", "20s"),
            Role::Shipping => ("shipping", "--shipping-refused-zips", "00000"),
            Role::Notifier => ("notifier", "--concurrency", "64"),
        };
        tool.args([
            "worker",
            name,
            "--nats-url",
            &self.url,
            "--provision",
            flag,
            value,
        ]);
        if role == Role::Notifier {
            tool.arg("--notifier-file").arg(self.notices());
        }
        tool
    }

    /// Makes the consumers of these roles, as whoever installs them would. To a scaler one that is missing is as far behind
    /// as its stream is long.
    ///
    /// # Errors
    /// When they cannot be made.
    pub async fn provision(&self, roles: &[Role]) -> Result<()> {
        for role in roles {
            let worker = self.worker(*role, &self.nats).await?;
            worker.topology(1).ensure(&self.nats).await?;
        }
        Ok(())
    }

    /// Starts a replica of this role.
    ///
    /// # Errors
    /// When it cannot be built or connected.
    pub async fn start(&self, role: Role) -> Result<Running> {
        let nats = self.connect().await?;
        let worker = self.worker(role, &nats).await?;
        self.start_worker(worker, nats).await
    }

    /// Starts a replica of each of these roles.
    ///
    /// # Errors
    /// When one cannot be built or connected.
    pub async fn start_all(&self, roles: &[Role]) -> Result<Vec<Running>> {
        let mut running = Vec::new();
        for role in roles {
            running.push(self.start(*role).await?);
        }
        Ok(running)
    }

    /// Starts any worker on this connection, with the consumers that it needs.
    ///
    /// # Errors
    /// When its consumers cannot be made.
    pub async fn start_worker(&self, worker: Worker, nats: Nats) -> Result<Running> {
        self.start_with(worker, nats, &["--handler-limit", "20s"]).await
    }

    /// The same with these flags of the engine.
    ///
    /// # Errors
    /// When a flag is wrong, or its consumers cannot be made.
    pub async fn start_with(&self, worker: Worker, nats: Nats, flags: &[&str]) -> Result<Running> {
        worker.topology(1).ensure(&nats).await?;
        self.run(worker, nats, flags)
    }

    /// Starts any worker whose consumers are there.
    ///
    /// # Errors
    /// When a flag is wrong.
    pub fn run(&self, worker: Worker, nats: Nats, flags: &[&str]) -> Result<Running> {
        let args = engine_args(flags)?;
        let (stop, stopped) = watch::channel(false);
        let connection = nats.clone();
        let task = tokio::spawn(async move { worker.run(&connection, &args, None, stopped).await });
        Ok(Running { nats, stop, task })
    }
}

fn engine_args(flags: &[&str]) -> Result<EngineArgs> {
    let command = EngineArgs::augment_args(Command::new("test"));
    let command = command.args_override_self(true);
    let always = ["test", "--concurrency", "64", "--drain-limit", "10s"];
    let matches = command.try_get_matches_from(always.iter().chain(flags))?;
    Ok(EngineArgs::from_arg_matches(&matches)?)
}
