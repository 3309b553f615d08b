//! The benchmark of the read side on a nats-server and databases of its own choice:
//! `read_side NATS_URL LISTS_URL REBUILT_URL [--orders N]`.

use jetsaga::{Nats, Topology, anyhow, clap, clap::Parser};
use projector::bench::{BenchArgs, run};

#[derive(Parser)]
struct Flags {
    nats: String,
    lists: String,
    rebuilt: String,
    #[command(flatten)]
    bench: BenchArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let nats = Nats::connect(&flags.nats, "bench").await?;
    Topology::new(1).ensure(&nats).await?;
    let report = run(&nats, &flags.lists, &flags.rebuilt, &flags.bench).await?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}
