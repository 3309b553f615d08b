//! The projector keeps the checkout's read models: it follows the journal and writes tables, in SQLite or PostgreSQL.
//!
//! Any number of them may run on one database; each event is applied once. What it has applied stands in the same
//! transaction as the rows, so it goes on where it was, whenever it dies.

pub mod bench;

use std::path::PathBuf;

use jetsaga::{Hidden, Nats, Right, Worker, clap, subject::EVENTS};
use projection::{Database, DatabaseError, Progress, Runner, Status, Store};

/// Flags of the projector.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Args {
    /// Where the read models are: `sqlite:PATH`, which is made, or `postgres://USER:PASSWORD@HOST/NAME`, which has to be.
    #[arg(long, env = "DATABASE_URL", default_value = DEFAULT_URL, hide_env_values = true,
        value_parser = Hidden::new("DATABASE_URL", readmodel::ADDRESS, readmodel::address))]
    pub database_url: String,

    /// A file that holds the same, so that no environment shows a password; another address of PostgreSQL counts within five seconds, for new connections.
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
}

impl Args {
    /// Where the read models are.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no such address. Nothing of what it holds is said.
    pub fn url(&self) -> anyhow::Result<String> {
        match &self.database_url_file {
            None => Ok(self.database_url.clone()),
            Some(file) => readmodel::address_in(file),
        }
    }
}

/// Where the read models are if nothing is said.
pub const DEFAULT_URL: &str = "sqlite:jetsaga.db";

/// The worker.
///
/// # Errors
/// When the database does not answer.
pub async fn worker(args: Args, _: Nats) -> anyhow::Result<Worker> {
    let store = open(&args.url()?).await?;
    if let Some(file) = args.database_url_file {
        tokio::spawn(readmodel::follow_address(file, store.database().clone()));
    }
    Ok(declared().service("projections", Runner::new(store)))
}

/// The worker before it has a database: what it is called, and what it may do.
pub fn declared() -> Worker {
    Worker::new("projector").needs([Right::Follow(EVENTS)])
}

/// Builds the read model `name` anew beside the one that is read, and swaps them at the end; see
/// [`projection::rebuild`].
///
/// # Errors
/// When there is none of that name, somebody else rebuilds it, or database or journal fail.
pub async fn rebuild(
    nats: &Nats,
    url: &str,
    name: &str,
    progress: impl FnMut(Progress),
) -> Result<(), DatabaseError> {
    projection::rebuild(&open(url).await?, nats, name, progress).await
}

/// How every read model stands.
///
/// # Errors
/// When database or journal fail, or do not belong together.
pub async fn status(nats: &Nats, url: &str) -> Result<Vec<Status>, DatabaseError> {
    open(url).await?.status(nats).await
}

/// The read models of the checkout in this database.
///
/// # Errors
/// When the database does not answer.
pub async fn open(url: &str) -> Result<Store, DatabaseError> {
    Store::open(Database::open(url).await?, readmodel::projections()).await
}
