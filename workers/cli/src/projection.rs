use std::time::Duration;

use jetsaga::Nats;
use projection::Status;
use serde_json::json;

use crate::output::{self, Output};

/// `jetsaga projection …`.
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// Build the tables of a read model anew beside those that are read, and swap them at the end.
    Rebuild {
        /// orders, customers, stock or revenue.
        name: String,
        #[command(flatten)]
        database: projector::Args,
    },
    /// Show how far every read model has come.
    Status {
        #[command(flatten)]
        database: projector::Args,
    },
}

pub(crate) async fn run(nats: &Nats, command: Command, out: Output) -> anyhow::Result<()> {
    match command {
        Command::Rebuild { name, database } => {
            let bar = output::progress(0, &format!("rebuilding {name}"));
            let told = |progress: projection::Progress| {
                bar.set_length(progress.total);
                bar.set_position(progress.done);
            };
            let begun = std::time::Instant::now();
            projector::rebuild(nats, &database.url()?, &name, told).await?;
            let (events, took) = (bar.position(), begun.elapsed());
            bar.finish_and_clear();
            out.print(
                &json!({"projection": name, "sequence": events, "seconds": took.as_secs_f64()}),
                |_| rebuilt(&name, events, took),
            )
        }
        Command::Status { database } => {
            for status in projector::status(nats, &database.url()?).await? {
                out.print(&status, line)?;
            }
            Ok(())
        }
    }
}

fn rebuilt(name: &str, sequence: u64, took: Duration) -> String {
    format!(
        "{name} is built anew up to sequence {sequence}, in {:.1} s",
        took.as_secs_f64()
    )
}

fn line(status: &Status) -> String {
    let Status {
        name,
        position,
        lag,
        problems,
        outdated,
        ..
    } = status;
    let mut text = format!("{name:<10} at {position}, {lag} behind");
    if *problems > 0 {
        text += &format!(", {problems} events it could not read (table projection_problems)");
    }
    if *outdated {
        text += &format!(", declared anew: run `jetsaga projection rebuild {name}`");
    }
    text
}
