//! Recordings: what a run left behind, as a folder of files that anybody can read.
//!
//! | file | holds |
//! | --- | --- |
//! | `journal.jsonl` | every message of the journal, a line each |
//! | `bucket.jsonl` | what the state bucket keeps |
//! | `letters.jsonl` | the dead letters, as `jetsaga letters list --json` prints them |
//! | `ledger.jsonl` | the payment provider's ledger, as it is |
//! | `consumers.json` | what each consumer has left to do |
//! | `schedules.jsonl` | the messages that the server still has to send |
//! | `scope.json` | whether the system was at rest; a folder without it was |
//! | `history.jsonl` | what a driver asked for and heard, if one wrote it |
//!
//! Any other file (`faults.jsonl`, `run.json`) is its writer's own. [`Live`] takes the accounts of a running system,
//! [`Folder`] writes them, [`read`] gives them back, and the books of the checkout say what does not hold.

mod folder;
mod live;
mod rest;
mod stream;

use std::path::Path;

use anyhow::Context as _;
use checkout::books::{Books, Report, Source};

pub use folder::{Folder, read, scope};
pub(crate) use live::filled;
pub use live::{Ledger, Live, bucket_at};
pub use rest::{Rest, until_rest};

/// Where the accounts of a run go, a line at a time.
pub trait Sink {
    /// Lines of this source follow, if it has any.
    ///
    /// # Errors
    /// When they cannot be taken.
    fn begin(&mut self, source: Source) -> anyhow::Result<()>;

    /// Takes one line; of the consumers, all there is.
    ///
    /// # Errors
    /// When it cannot be taken.
    fn line(&mut self, source: Source, line: &str) -> anyhow::Result<()>;
}

/// Checks a recording: what its books say.
///
/// # Errors
/// When a file cannot be read, naming the line and the field at fault.
pub fn check(folder: &Path) -> anyhow::Result<Report> {
    let mut books = Books::new(scope(folder)?)?;
    read(folder, &mut books)?;
    Ok(books.close())
}

impl Sink for Books {
    fn begin(&mut self, source: Source) -> anyhow::Result<()> {
        self.given(source);
        Ok(())
    }

    fn line(&mut self, source: Source, line: &str) -> anyhow::Result<()> {
        self.read(source, line)
            .with_context(|| format!("a line of {} cannot be read", source.file()))
    }
}

impl<A: Sink, B: Sink> Sink for (&mut A, Option<&mut B>) {
    fn begin(&mut self, source: Source) -> anyhow::Result<()> {
        self.0.begin(source)?;
        self.1.as_mut().map_or(Ok(()), |other| other.begin(source))
    }

    fn line(&mut self, source: Source, line: &str) -> anyhow::Result<()> {
        self.0.line(source, line)?;
        self.1.as_mut().map_or(Ok(()), |other| other.line(source, line))
    }
}
