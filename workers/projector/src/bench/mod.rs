//! What the read side can do, measured: lists at a million orders, and a rebuild from a real journal while the tables are
//! read and written.

mod latency;
mod lists;
mod rebuilt;
mod stories;

use jetsaga::{Nats, clap};
use serde::Serialize;

pub use latency::Latency;
pub use lists::{ListLatency, Lists};
pub use rebuilt::Rebuilt;
pub use stories::{Stories, Told};

/// Flags of the benchmark.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct BenchArgs {
    /// Orders in the read model that is asked for lists.
    #[arg(long, default_value = "1000000")]
    pub orders: u64,

    /// Orders in the journal that a read model is rebuilt from; about five events each.
    #[arg(long, default_value = "200000")]
    pub rebuilt_orders: u64,

    /// Measured queries of each list.
    #[arg(long, default_value = "300")]
    pub queries: u32,
}

/// What was measured; one JSON object.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Which database.
    pub database: &'static str,
    /// Lists of many orders.
    pub lists: Lists,
    /// A rebuild.
    pub rebuild: Rebuilt,
}

/// Fills the database at `lists` and asks it; then fills the journal behind `nats` and the database at `rebuilt`, and
/// rebuilds that one. Both databases have to be empty, and the journal is written to: it is the benchmark's own.
///
/// # Errors
/// When journal or database fail.
pub async fn run(nats: &Nats, lists: &str, rebuilt: &str, args: &BenchArgs) -> anyhow::Result<Report> {
    let database = if lists.starts_with("sqlite:") {
        "sqlite"
    } else {
        "postgresql"
    };
    Ok(Report {
        database,
        lists: lists::measure(lists, args).await?,
        rebuild: rebuilt::measure(nats, rebuilt, args).await?,
    })
}
