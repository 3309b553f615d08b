//! `jetsaga bench`: what a saga costs, beside the same JetStream operations without the engine.
//!
//! Reading order: [`site`] (a server and four worker processes), [`workers`] (the engine's, with effects that do
//! nothing), [`bare`] (the same by hand), [`driver`] (keeps sagas in flight), [`measure`] (what a run took),
//! [`report`] (what is printed, and what fails).

mod orders;

mod bare;
mod site;
mod workers;

mod counts;
mod driver;
mod measure;
mod usage;

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
use crate::output::progress;

pub(crate) use self::workers::run as run_worker;

/// Both sides run by turns, so many times, so that what else the machine does falls on both.
const ROUNDS: u64 = 4;
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
}

/// Measures, prints one JSON document, and fails if something is not as it has to be.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut report = measure(&args).await?;
    report.judge();
    let json = serde_json::to_string_pretty(&report)?;
    println!("{json}");
    if let Some(path) = &args.out {
        std::fs::write(path, json + "\n").with_context(|| format!("{} cannot be written", path.display()))?;
    }
    anyhow::ensure!(report.failures.is_empty(), "{}", report.failures.join("; "));
    Ok(())
}

async fn measure(args: &Args) -> anyhow::Result<Report> {
    let mut engine = Bench::open(Side::Engine).await?;
    let mut bare = Bench::open(Side::Bare).await?;
    let mut operations = BTreeMap::new();
    for (kind, mix) in [("completed", Mix::Completed), ("cancelled", Mix::Cancelled)] {
        let (mut ours, mut theirs) = (Sum::default(), Sum::default());
        engine.run(LISTED, 16, mix, &mut ours).await?;
        bare.run(LISTED, 16, mix, &mut theirs).await?;
        operations.insert(kind, Comparison::new(ours.operations(), theirs.operations()));
    }
    let mut levels = Vec::new();
    for concurrency in &args.concurrency {
        let concurrency = usize::from(*concurrency).max(1);
        levels.push(level(&mut engine, &mut bare, concurrency, args.sagas).await?);
    }
    let server = engine.site.nats.client.server_info().version;
    Ok(Report {
        about: About::new(format!("nats-server {server}")),
        operations,
        levels,
        apart: None,
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
    let lists = Comparison::new(ours.operations(), theirs.operations());
    Ok(Level::new(concurrency, ours.figures()?, theirs.figures()?, lists))
}
