//! `jetsaga bench`: what a saga costs, beside the same JetStream operations without the engine.
//!
//! Reading order: [`site`] (a server and four worker processes, each a [`process`]), [`workers`] (the engine's, with
//! effects that do nothing), [`bare`] (the same by hand), [`driver`] (keeps sagas in flight), [`measure`] (what a run
//! took), [`report`] (what is printed, and what fails). [`apart`], [`memory`], [`stock`] and [`tracing`] are measured by themselves.

mod orders;

mod bare;
mod process;
mod site;
mod workers;

mod counts;
mod driver;
mod measure;
mod usage;

mod apart;
mod memory;
mod read_side;
mod stock;
mod tracing;

mod report;

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context as _;

use self::{
    counts::Comparison,
    measure::{Bench, Sum},
    orders::Mix,
    report::{About, Level, Report},
    site::Side,
};
use crate::output::{progress, say};

pub(crate) use self::workers::run as run_worker;

/// Both sides run by turns, so many times, so that what else the machine does falls on both.
const ROUNDS: u64 = 10;
/// Sagas of one kind that are run for the lists of operations. They warm both sides up as well.
const LISTED: u64 = 1000;

/// Flags of `bench`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Sagas for each concurrency and side; a fifth of it for one saga at a time.
    #[arg(long, default_value = "12000", value_parser = clap::value_parser!(u64).range(400..))]
    sagas: u64,

    /// How many sagas are in flight; one measurement for each.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    concurrency: Vec<u16>,

    /// Writes the JSON document to this file as well.
    #[arg(long)]
    out: Option<PathBuf>,

    /// Instead: keep the workers at work for so many minutes, and see what memory they take.
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(2..))]
    memory: Option<u64>,

    /// Instead: see what a reservation costs on a product that has had 100, and on one that has had 100,000.
    #[arg(long, conflicts_with = "memory")]
    stock: bool,

    /// Instead: see what lists of many orders cost, and what a rebuild does, beside reads and writes.
    #[arg(long, conflicts_with_all = ["memory", "stock"])]
    read_side: bool,

    /// Instead: see what traces cost, one in a hundred sagas kept and all of them, beside none.
    #[arg(long, conflicts_with_all = ["memory", "stock", "read_side"])]
    tracing: bool,

    #[command(flatten)]
    read: projector::bench::BenchArgs,
}

/// Measures, prints one JSON document, and fails if something is not as it has to be.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let (json, failures) = if args.read_side {
        read_side::measure(&args.read).await?
    } else if args.tracing {
        tracing::measure(args.sagas).await?.judged()?
    } else if args.stock {
        stock::measure().await?.judged()?
    } else if let Some(minutes) = args.memory {
        memory::measure(minutes).await?.judged()?
    } else {
        measure(&args).await?.judged()?
    };
    say(&json)?;
    if let Some(path) = &args.out {
        std::fs::write(path, json + "\n").with_context(|| format!("{} cannot be written", path.display()))?;
    }
    anyhow::ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(())
}

async fn measure(args: &Args) -> anyhow::Result<Report> {
    let mut engine = Bench::open(Side::Engine, &[]).await?;
    let mut bare = Bench::open(Side::Bare, &[]).await?;
    let mut operations = BTreeMap::new();
    for (kind, mix) in [("completed", Mix::Completed), ("cancelled", Mix::Cancelled)] {
        let (mut ours, mut theirs) = (Sum::default(), Sum::default());
        engine.run(LISTED, 16, mix, &mut ours).await?;
        bare.run(LISTED, 16, mix, &mut theirs).await?;
        operations.insert(kind, compare(&ours, &theirs));
    }
    let mut levels = Vec::new();
    for concurrency in &args.concurrency {
        let concurrency = usize::from(*concurrency).max(1);
        levels.push(level(&mut engine, &mut bare, concurrency, args.sagas).await?);
    }
    let server = engine.site.nats.client.server_info().version;
    drop((engine, bare));
    let apart = apart::measure().await?;
    Ok(Report {
        about: About::new(format!("nats-server {server}")),
        operations,
        levels,
        apart,
        failures: Vec::new(),
    })
}

async fn level(
    engine: &mut Bench,
    bare: &mut Bench,
    concurrency: usize,
    sagas: u64,
) -> anyhow::Result<Level> {
    let sagas = if concurrency == 1 { sagas / 5 } else { sagas };
    let each = sagas / ROUNDS / 10 * 10; // whole tens, so that exactly a tenth is out of stock
    let (mut ours, mut theirs) = (Sum::default(), Sum::default());
    let bar = progress(2 * ROUNDS * each, &format!("{concurrency} at once"));
    for _ in 0..ROUNDS {
        engine.run(each, concurrency, Mix::Tenth, &mut ours).await?;
        bar.inc(each);
        bare.run(each, concurrency, Mix::Tenth, &mut theirs).await?;
        bar.inc(each);
    }
    bar.finish_and_clear();
    Ok(Level {
        concurrency,
        ratio: ours.ratio(&theirs),
        operations: compare(&ours, &theirs),
        engine: ours.figures()?,
        bare: theirs.figures()?,
    })
}

fn compare(ours: &Sum, theirs: &Sum) -> Comparison {
    Comparison::new(ours.operations(), theirs.operations(), ours.cancelled())
}
