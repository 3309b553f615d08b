use clap::Subcommand;
use jetsaga::{Difference, Nats, engine::replicas};
use serde::Serialize;

use crate::{nack, output::Output, system, users};

/// What to do with the streams and consumers of the checkout.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// Create what is missing; what is there is left as it is. Exit code 1 if something there differs.
    Ensure {
        /// Replicas of every stream: 1, 3 or 5.
        #[arg(long, env = "JETSAGA_REPLICAS", default_value = "1", value_parser = replicas)]
        replicas: usize,
    },
    /// Show what is missing or differs. Exit code 1 if anything does.
    Diff {
        /// Replicas of every stream: 1, 3 or 5.
        #[arg(long, env = "JETSAGA_REPLICAS", default_value = "1", value_parser = replicas)]
        replicas: usize,
    },
    /// Print the users of the system, each with exactly the subjects that it needs, as a part of the nats-server's
    /// configuration. Asks no server.
    Users(users::Args),
    /// Print it as resources of NACK, the controller that makes streams and consumers from Kubernetes. Asks no server.
    Nack(nack::Args),
}

impl Command {
    /// The user whose place it is.
    pub(crate) const fn user(&self) -> &'static str {
        match self {
            Self::Ensure { .. } => users::TOPOLOGY,
            Self::Diff { .. } | Self::Users(_) | Self::Nack(_) => users::OPERATOR,
        }
    }
}

#[derive(Serialize)]
struct Report {
    created: Vec<String>,
    differences: Vec<String>,
}

/// Does it.
pub(crate) async fn run(nats: &Nats, command: Command, out: Output) -> anyhow::Result<()> {
    match command {
        Command::Ensure { replicas } => {
            let (created, differences) = system::topology(nats, replicas).await?.ensure(nats).await?;
            report(out, created, &differences)?;
            anyhow::ensure!(
                differences.is_empty(),
                "{} differences are left as they are",
                differences.len()
            );
            Ok(())
        }
        Command::Diff { replicas } => {
            let differences = system::topology(nats, replicas).await?.diff(nats).await?;
            report(out, Vec::new(), &differences)?;
            anyhow::ensure!(differences.is_empty(), "{} differences", differences.len());
            Ok(())
        }
        Command::Users(args) => users::run(&args, out),
        Command::Nack(args) => nack::run(&args, out),
    }
}

fn report(out: Output, created: Vec<String>, differences: &[Difference]) -> anyhow::Result<()> {
    let differences = differences.iter().map(ToString::to_string).collect();
    out.print(&Report { created, differences }, |report| {
        let created = report.created.iter().map(|what| format!("created {what}"));
        let lines: Vec<String> = created.chain(report.differences.iter().cloned()).collect();
        if lines.is_empty() {
            "nothing to do".to_owned()
        } else {
            lines.join("\n")
        }
    })
}
