use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};
use jetsaga::{ConnectionArgs, Nats, Timestamp, Token};

use crate::{
    backup, bench, contract, demo, dev, fsck, letters, nack, operate,
    output::{Output, nobody_listens},
    past, place, probe, projection, show, stock, token, topology, users, watch, work,
};

/// Sagas on NATS JetStream: run the checkout, and see what it does.
#[derive(Parser, Clone, Debug)]
#[command(name = "jetsaga", version, propagate_version = true)]
pub(crate) struct Cli {
    /// Print JSON: one document, or one line for each item where there are many.
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    connection: ConnectionArgs,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Run everything in one process: a nats-server, the payment provider and every worker.
    Dev(dev::Args),
    /// Show it all: the documented order, then thousands more while workers are killed, then the books.
    Demo(demo::Args),
    /// Place orders from a file, or from standard input with `-`: one JSON event, or one a line.
    Place(place::Args),
    /// Show one saga as a tree.
    Show {
        /// The order.
        id: Token,
        /// Wait until it is completed or cancelled, at most so many seconds.
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60")]
        wait: Option<u64>,
    },
    /// Show every change of state as it happens.
    Watch {
        /// Only this order.
        id: Option<Token>,
    },
    /// Show everything that happened to one order, oldest first.
    History {
        /// The order.
        id: Token,
        /// What it is: checkout, reservation or stock.
        #[arg(long, default_value = "checkout")]
        kind: Token,
    },
    /// Show the state of one order as it was at a time or at a sequence.
    At {
        /// The order.
        id: Token,
        /// What it is: checkout, reservation or stock.
        #[arg(long, default_value = "checkout")]
        kind: Token,
        /// A time by the server's clock, such as 2026-01-31T12:00:00Z.
        #[arg(long, required_unless_present = "sequence", conflicts_with = "sequence")]
        time: Option<Timestamp>,
        /// A sequence of the journal.
        #[arg(long)]
        sequence: Option<u64>,
    },
    /// Ask for an order to be taken back. It is too late once shipping has begun.
    Cancel {
        /// The order.
        id: Token,
        /// Why.
        #[arg(long, default_value = "cancelled by an operator")]
        reason: String,
    },
    /// Have every step that owes an order something try again now, with its attempts counted anew.
    Retry {
        /// The order.
        id: Token,
    },
    /// Record the outcome of a stuck step by hand, with a note that becomes part of the event.
    Resolve(operate::Resolve),
    /// Check that everything holds: journal, state bucket, money, stock and dead letters. Exit code 1 if not.
    Fsck(fsck::Args),
    /// Take every stream and consumer into a folder, while the system works.
    Backup(backup::Args),
    /// Put a backup on a server that has none of its streams. One that was killed is repeated, and goes on where it was.
    Restore(backup::RestoreArgs),
    /// List, show, redrive or drop dead letters.
    #[command(subcommand)]
    Letters(letters::Command),
    /// Create what is missing on the server, or show what differs there.
    #[command(subcommand)]
    Topology(topology::Command),
    /// Build read models anew, or show how far they have come.
    #[command(subcommand)]
    Projection(projection::Command),
    /// Make tokens for the gateway.
    #[command(subcommand)]
    Token(token::Command),
    /// Show or change what is in stock.
    #[command(subcommand)]
    Stock(stock::Command),
    /// Run one worker as a process of its own, with that worker's flags.
    Worker {
        /// order, payment, inventory, shipping, notifier, outbound, projector, gateway or provider.
        name: String,
        /// The worker's own flags; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Ask a worker how it is: exit code 0 if the address answers with success, as health checks want it.
    Probe(probe::Args),
    /// Do nothing until a signal comes: what a container runs that is there for `kubectl exec`.
    Idle,
    /// Measure what a saga costs, beside the same JetStream operations without the engine.
    Bench(bench::Args),
    /// Print the checkout as a Mermaid diagram.
    Diagram,
    /// Print what outsiders can rely on: the AsyncAPI document, and with --write a JSON Schema for every event.
    Contract(contract::Args),
}

/// The whole tool: does what the command line says. Exit code 0 if it was done, 1 if not, 2 for a wrong line.
pub fn main(line: Vec<OsString>) -> ExitCode {
    jetsaga::engine::use_ring();
    // A worker has its own flags, some of which are called like the tool's.
    if line.get(1).is_some_and(|word| word == "worker")
        && let Some(name) = line
            .get(2)
            .and_then(|name| name.to_str())
            .filter(|name| !name.starts_with('-'))
    {
        return work::run(name, line.get(3..).unwrap_or_default());
    }
    run(Cli::parse_from(line))
}

fn run(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(dispatch(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if nobody_listens(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<()> {
    let out = Output { json: cli.json };
    let connect = async |user| Nats::connect_with(&cli.connection, user).await;
    let system_as = async |user| with_streams(connect(user).await?).await;
    let system = async || system_as(users::OPERATOR).await;
    match cli.command {
        Command::Dev(args) => dev::run(args).await,
        Command::Demo(args) => interruptible(demo::run(args, out)).await,
        Command::Place(args) => place::run(&system().await?, args, out).await,
        Command::Show { id, wait } => show::run(&system().await?, &id, wait, out).await,
        Command::Watch { id } => watch::run(&system().await?, id.as_ref(), out).await,
        Command::History { id, kind } => past::history(&system().await?, &kind, &id, out).await,
        Command::At {
            id,
            kind,
            time,
            sequence,
        } => past::at(&system().await?, &kind, &id, past::moment(time, sequence)?, out).await,
        Command::Fsck(args) => fsck::run(&system_as(args.user()).await?, args, out).await,
        Command::Backup(args) => backup::run(&system_as(users::KEEPER).await?, &args, out).await,
        Command::Restore(args) => {
            let nats = Nats::connect_to_restore(&cli.connection, users::KEEPER).await?;
            backup::restore(&nats, &args, out).await
        }
        Command::Cancel { id, reason } => operate::cancel(&system().await?, id, &reason, out).await,
        Command::Retry { id } => operate::retry(&system().await?, id, out).await,
        Command::Resolve(args) => operate::resolve(&system().await?, args, out).await,
        Command::Letters(command) => letters::run(&system().await?, command, out).await,
        Command::Topology(topology::Command::Users(args)) => users::run(&args, out),
        Command::Topology(topology::Command::Nack(args)) => nack::run(&args, out),
        Command::Topology(command) => topology::run(&connect(command.user()).await?, command, out).await,
        Command::Projection(command) => {
            projection::run(&system_as(users::PROJECTOR).await?, command, out).await
        }
        Command::Token(command) => token::run(&command, out),
        Command::Stock(command) => stock::run(&system().await?, command, out).await,
        Command::Probe(args) => probe::run(&args, out).await,
        Command::Idle => {
            let mut stop = jetsaga::on_signal()?;
            let _ = stop.wait_for(|stop| *stop).await; // a dropped sender stops as well
            Ok(())
        }
        Command::Bench(args) => interruptible(bench::run(args)).await,
        Command::Diagram => {
            let diagram = jetsaga::mermaid(&jetsaga::Plan::of::<checkout::Checkout>()?);
            out.print(&diagram, |diagram| diagram.trim_end().to_owned())
        }
        Command::Contract(args) => contract::run(&args, out),
        Command::Worker { name, .. } => {
            anyhow::bail!("say `jetsaga worker {name} …`: flags of the tool come after")
        }
    }
}

/// The connection, if the streams of a system are behind it.
async fn with_streams(nats: Nats) -> anyhow::Result<Nats> {
    let missing = jetsaga::Topology::new(1).diff(&nats).await?;
    let missing = missing.iter().find(|difference| difference.setting.is_none());
    match missing {
        Some(missing) => anyhow::bail!(
            "{missing}; make it with `jetsaga topology ensure`, or start a worker with --provision"
        ),
        None => Ok(nats),
    }
}

/// Runs `work` until it ends or a signal comes; then what it started ends with it, and nothing is left running.
async fn interruptible(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut stop = jetsaga::on_signal()?;
    tokio::select! {
        done = work => done,
        _ = stop.wait_for(|stop| *stop) => anyhow::bail!("stopped by a signal"),
    }
}
