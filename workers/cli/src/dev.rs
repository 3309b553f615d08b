use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use inventory::Shelf;
use jetsaga::{EngineArgs, Journal, Nats, Topology, Worker, on_signal, start_telemetry};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{
    NatsServer, output, seed,
    system::{self, SystemArgs, workers},
};

/// Flags of `dev`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Where the nats-server and the provider keep what they store.
    #[arg(long, default_value = ".jetsaga/dev")]
    store: PathBuf,

    /// The port of the nats-server; 0 takes a free one.
    #[arg(long, default_value = "4222")]
    nats_port: u16,

    /// The address of the payment provider; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:4242")]
    provider_listen: SocketAddr,

    /// The address of the HTTP gateway, which asks nobody for a token here; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    gateway_listen: SocketAddr,

    /// A JSON object of products and quantities, stocked once.
    #[arg(long, default_value = "deploy/seed/stock.json")]
    stock: PathBuf,

    #[command(flatten)]
    engine: EngineFlags,
}

/// The engine's flags that make sense here.
#[derive(clap::Args, Clone, Debug)]
struct EngineFlags {
    /// What is logged.
    #[arg(long, env = "JETSAGA_LOG", default_value = "warn")]
    log: String,
}

/// Runs everything until ctrl-c or SIGTERM, drains, and leaves nothing running.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let stop = on_signal()?;
    let engine = engine_args(&args.engine.log)?;
    let _telemetry = start_telemetry(&engine, "jetsaga-dev")?;
    let mut server = NatsServer::start(&args.store.join("nats"), args.nats_port).await?;
    let provider = listen(args.provider_listen, "--provider-listen").await?;
    let gateway = listen(args.gateway_listen, "--gateway-listen").await?;
    let provider_url = format!("http://{}", provider.local_addr()?);
    let ledger = provider::Config::new(args.store.join("provider-ledger.jsonl"));
    // The provider stays until nobody needs it any more.
    let (close, closed) = watch::channel(false);
    let mut served = tokio::spawn(provider::serve(provider, ledger, stopped(closed)));

    let nats = Nats::connect(&server.url(), "dev").await?;
    let notices = args.store.join("notices.jsonl").display().to_string();
    let flags = [
        "--payment-provider-url",
        &provider_url,
        "--notifier-file",
        &notices,
    ];
    let mut crew = start(SystemArgs::with(&flags)?, &nats, &engine, &stop).await?;
    let gateway_url = format!("http://{}", gateway.local_addr()?);
    for worker in outer_face(&args, gateway, &nats).await? {
        employ(worker, &mut crew, &nats, &engine, &stop);
    }
    seed::from_file(&Shelf::new(Journal::new(&nats)), &args.stock).await?;
    output::say(&welcome(&server.url(), &provider_url, &gateway_url, &notices))?;
    tokio::select! {
        worked = crew.join_all() => { worked.into_iter().collect::<anyhow::Result<Vec<()>>>()?; }
        error = server.died() => return Err(error),
        ended = &mut served => {
            ended?.context("the payment provider ended")?;
            anyhow::bail!("the payment provider ended");
        }
    }
    close.send_replace(true);
    served.await??;
    nats.close().await;
    server.stop().await
}

/// Provisions the server and starts every worker of the checkout in this process.
pub(crate) async fn start(
    args: SystemArgs,
    nats: &Nats,
    engine: &EngineArgs,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let workers = workers(args, nats).await?;
    let mut topology = Topology::new(engine.replicas);
    for worker in &workers {
        topology
            .consumers
            .extend(worker.topology(engine.replicas).consumers);
    }
    for difference in topology.ensure(nats).await?.1 {
        tracing::warn!(%difference, "the server differs");
    }
    let mut crew = JoinSet::new();
    for worker in workers {
        employ(worker, &mut crew, nats, engine, stop);
    }
    Ok(crew)
}

fn employ(
    worker: Worker,
    crew: &mut JoinSet<anyhow::Result<()>>,
    nats: &Nats,
    engine: &EngineArgs,
    stop: &watch::Receiver<bool>,
) {
    let (nats, engine, stop) = (nats.clone(), engine.clone(), stop.clone());
    crew.spawn(async move { worker.run(&nats, &engine, None, stop).await });
}

async fn listen(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    let listening = TcpListener::bind(address).await;
    listening.with_context(|| format!("{address} cannot be listened on; name another with {flag}"))
}

/// The read models and the gateway.
async fn outer_face(args: &Args, listener: TcpListener, nats: &Nats) -> anyhow::Result<[Worker; 2]> {
    let database = format!("sqlite:{}", args.store.join("read-models.db").display());
    let flags = ["--gateway-without-authentication", "--database-url", &database];
    let gateway: gateway::Args = system::args(&flags)?;
    let projector = system::args(&["--database-url", &database])?;
    Ok([
        projector::worker(projector, nats.clone()).await?,
        gateway::serving(listener, gateway.config()?),
    ])
}

/// What the environment says of the engine, with this log filter.
pub(crate) fn engine_args(log: &str) -> anyhow::Result<EngineArgs> {
    system::args(&["--log", log])
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await; // a dropped sender stops as well
}

fn welcome(nats: &str, provider: &str, gateway: &str, notices: &str) -> String {
    let export = if nats.ends_with(":4222") {
        String::new()
    } else {
        format!("  export JETSAGA_NATS_URL={nats}\n")
    };
    format!(
        "jetsaga runs: nats-server at {nats}, payment provider at {provider}, HTTP at {gateway} (its pages at /docs), notices in {notices}\n\n\
         Try next, in another terminal:\n{export}  \
         jetsaga place deploy/seed/order.json       # an order, as any NATS client could publish it\n  \
         jetsaga show ORD-987654                    # its saga as a tree\n  \
         jetsaga history ORD-987654                 # every event\n  \
         jetsaga watch                              # everything, live\n  \
         jetsaga stock show PROD-A1\n\n\
         ctrl-c stops it all."
    )
}
