use std::{ffi::OsString, future::Future, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, FromArgMatches as _};
use tokio::{net::TcpListener, sync::watch, task::spawn_blocking};

use crate::{Durability, EngineArgs, Nats, Telemetry, Worker, telemetry, unset_where_empty, use_ring};

/// The whole `main` of a worker: reads flags and environment, starts logs, connects, runs, and drains on SIGTERM
/// or ctrl-c. Exit code 0 after a drain, 1 after an error, 2 for a wrong flag or variable.
///
/// `A` are the worker's own flags; `build` turns them into the worker.
pub fn launch<A, F, B>(name: &'static str, about: &'static str, build: B) -> ExitCode
where
    A: Args,
    B: FnOnce(A, Nats) -> F,
    F: Future<Output = anyhow::Result<Worker>>,
{
    launch_from(name, about, std::env::args_os(), build)
}

/// [`launch`] with the command line given, the program's name first.
pub fn launch_from<A, F, B>(
    name: &'static str,
    about: &'static str,
    line: impl IntoIterator<Item = OsString>,
    build: B,
) -> ExitCode
where
    A: Args,
    B: FnOnce(A, Nats) -> F,
    F: Future<Output = anyhow::Result<Worker>>,
{
    use_ring();
    let command = A::augment_args(EngineArgs::augment_args(clap::Command::new(name).about(about)));
    let matches = unset_where_empty(command).get_matches_from(line);
    let parsed = EngineArgs::from_arg_matches(&matches).and_then(|e| Ok((e, A::from_arg_matches(&matches)?)));
    let (engine, own) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => error.exit(),
    };
    let telemetry = match telemetry::start(&engine, name) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(work(name, &engine, &telemetry, |nats| build(own, nats))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(worker = name, "{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn work<F: Future<Output = anyhow::Result<Worker>>>(
    name: &'static str,
    args: &EngineArgs,
    telemetry: &Telemetry,
    build: impl FnOnce(Nats) -> F,
) -> anyhow::Result<()> {
    let stop = on_signal()?;
    let probes = match args.http_listen {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let mut told = stop.clone();
    let (worker, nats) = tokio::select! {
        made = make(name, args, build) => made?,
        _ = told.wait_for(|stop| *stop) => return Ok(()), // nothing was taken yet
    };
    let export = telemetry.export(&nats.metrics)?;
    let worked = worker.run(&nats, args, probes, stop).await;
    let (_, _) = tokio::join!(export.end(), spawn_blocking(telemetry.last_spans())); // they have said what they could not send
    worked
}

/// The worker, with its connection and everything that it needs on the server.
async fn make<F: Future<Output = anyhow::Result<Worker>>>(
    name: &str,
    args: &EngineArgs,
    build: impl FnOnce(Nats) -> F,
) -> anyhow::Result<(Worker, Nats)> {
    let nats = Nats::connect_with(&args.connection, name).await?;
    let worker = build(nats.clone()).await?;
    provision(&worker, &nats, args).await?;
    let durability = Durability::read(&nats, &args.nats_monitors).await?;
    tracing::info!("{durability}");
    durability.require(&args.require_durability)?;
    Ok((worker, nats))
}

async fn bind(address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "JETSAGA_HTTP_LISTEN {address} cannot be listened on; name a free port, or leave it out to serve no probes"
        )
    })?;
    tracing::info!(address = %listener.local_addr()?, "probes are served");
    Ok(listener)
}

/// Makes sure that what the worker needs is on the server, or says what is missing.
async fn provision(worker: &Worker, nats: &Nats, args: &EngineArgs) -> anyhow::Result<()> {
    let topology = worker.topology(args.replicas);
    let differences = if args.provision {
        topology.ensure(nats).await?.1
    } else {
        let differences = topology.diff(nats).await?;
        if let Some(missing) = differences.iter().find(|d| d.setting.is_none()) {
            anyhow::bail!("{missing}; run `jetsaga topology ensure`, or start with --provision");
        }
        differences
    };
    for difference in differences {
        tracing::warn!(%difference, "the server differs");
    }
    Ok(())
}

/// Becomes true at SIGTERM, at ctrl-c, and when the terminal is closed.
///
/// # Errors
/// When the signals cannot be caught.
pub fn on_signal() -> anyhow::Result<watch::Receiver<bool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            _ = hangup.recv() => {}
        }
        tracing::info!("told to stop; draining");
        stop.send_replace(true);
        stop.closed().await;
    });
    Ok(stopped)
}
