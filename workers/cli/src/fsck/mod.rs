//! Checks a running system against its own journal, and repairs what can be rebuilt from it.

mod repair;

pub(crate) use repair::owed;

use std::path::PathBuf;

use anyhow::ensure;
use checkout::books::{Books, Report, Source};
use indicatif::ProgressBar;
use jetsaga::Nats;
use serde::Serialize;

use crate::{
    output::{Output, late_progress, plain, say},
    record::{Folder, Ledger, Live, Sink},
    users,
};

/// Flags of `fsck`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Where the payment provider is, whose ledger the money is compared with.
    #[arg(
        long,
        env = "PAYMENT_PROVIDER_URL",
        default_value = payment::DEFAULT_PROVIDER_URL,
        hide_env_values = true,
        value_parser = payment::PROVIDER_URL
    )]
    provider_url: String,

    /// Do not compare the money with the provider's ledger.
    #[arg(long)]
    no_ledger: bool,

    /// The system is at rest: whatever is under way is a violation.
    #[arg(long)]
    at_rest: bool,

    /// Keep what was read as a recording in this folder, for `checker`.
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,

    /// Rebuild what can be rebuilt: the bucket from the journal, lost retries and timers of open sagas.
    #[arg(long)]
    repair: bool,
}

impl Args {
    /// The user whose place it is.
    pub(crate) const fn user(&self) -> &'static str {
        if self.repair {
            users::KEEPER
        } else {
            users::OPERATOR
        }
    }
}

/// What is printed.
#[derive(Serialize)]
struct Outcome {
    #[serde(flatten)]
    report: Report,
    /// What was repaired; the report is of the time after that.
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<Vec<String>>,
}

/// Does it. Fails when anything is violated.
pub(crate) async fn run(nats: &Nats, args: Args, out: Output) -> anyhow::Result<()> {
    let mut report = check(nats, &args, args.save.as_ref()).await?;
    let mut repaired = None;
    if args.repair {
        if !report.holds() && !out.json {
            say(&format!("before the repair:\n{}\n", shown(&report)))?;
        }
        let done = repair::repair(nats, &report).await?;
        if !done.is_empty() {
            report = check(nats, &args, None).await?;
        }
        repaired = Some(done);
    }
    let outcome = Outcome { report, repaired };
    out.print(&outcome, text)?;
    let violations = outcome.report.violations.len();
    ensure!(outcome.report.holds(), "{violations} violations");
    Ok(())
}

fn text(outcome: &Outcome) -> String {
    let repaired = outcome.repaired.iter().flatten();
    let lines: Vec<String> = repaired.map(|done| format!("repaired: {done}\n")).collect();
    format!("{}{}", lines.concat(), shown(&outcome.report))
}

/// The report, fit for a terminal: letters in its stories hold what others wrote.
fn shown(report: &Report) -> String {
    let text = report.to_string();
    let lines: Vec<String> = text.lines().map(plain).collect();
    lines.join("\n")
}

async fn check(nats: &Nats, args: &Args, save: Option<&PathBuf>) -> anyhow::Result<Report> {
    let ledger = if args.no_ledger {
        Ledger::Nowhere
    } else {
        Ledger::Provider(args.provider_url.trim_end_matches('/').to_owned())
    };
    let live = Live::open(nats, ledger, args.at_rest).await?;
    let scope = live.scope();
    let mut folder = save.map(|path| Folder::create(path, scope)).transpose()?;
    let mut counted = Counted {
        books: Books::new(scope)?,
        bar: late_progress(scope.settled, "events"),
    };
    live.read(&mut (&mut counted, folder.as_mut())).await?;
    counted.bar.finish_and_clear();
    folder.map_or(Ok(()), Folder::finish)?;
    Ok(counted.books.close())
}

/// The books, with a bar that counts the journal's events.
struct Counted {
    books: Books,
    bar: ProgressBar,
}

impl Sink for Counted {
    fn begin(&mut self, source: Source) -> anyhow::Result<()> {
        self.books.begin(source)
    }

    fn line(&mut self, source: Source, line: &str) -> anyhow::Result<()> {
        if source == Source::Journal {
            self.bar.inc(1);
        }
        self.books.line(source, line)
    }
}
