//! The fault run, by hand or for a test: see `jetsaga_tests::faultrun`.

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use engine::faults::Flaw;
use jetsaga_tests::faultrun::{Args, Kind, Report, run};

/// Exit code 0 if nothing is violated, 1 if something is, and the other way round if a violation is expected; 2 if the
/// run could not be carried out.
fn main() -> ExitCode {
    let args = Args::parse();
    if args.flaw.as_deref() == Some("all") {
        return every_flaw(&args);
    }
    match carry_out(&args) {
        Ok(report) => ExitCode::from(u8::from(report.violations.is_empty() == args.expect_violation)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs once with each flaw, and says what gave it away. Exit code 0 if every one was caught.
fn every_flaw(args: &Args) -> ExitCode {
    let mut caught = 0;
    for flaw in Flaw::ALL {
        let (begun, name) = (Instant::now(), format!("{flaw:?}"));
        let args = Args {
            flaw: Some(name.clone()),
            kinds: provoking(flaw),
            deadline: deadline(flaw, args.deadline),
            expect_violation: true,
            ..args.clone()
        };
        let told = match carry_out(&args) {
            Ok(report) if !report.violations.is_empty() => {
                caught += 1;
                let first = report.violations[0].lines().next().unwrap_or_default();
                format!("caught after {} s: {first}", begun.elapsed().as_secs())
            }
            Ok(_) => "NOT CAUGHT".to_owned(),
            Err(error) => format!("not carried out: {error:#}"),
        };
        eprintln!("{name:<20} {told}");
    }
    eprintln!("{caught} of {} caught", Flaw::ALL.len());
    ExitCode::from(u8::from(caught < Flaw::ALL.len()))
}

/// Only one flaw needs deadlines that come within the run.
fn deadline(flaw: Flaw, usual: Duration) -> Duration {
    match flaw {
        Flaw::DeadlineAfterPivot => Duration::from_secs(8),
        _ => usual,
    }
}

/// The faults in which a flaw shows: alone they come more often than among all the others.
fn provoking(flaw: Flaw) -> Vec<Kind> {
    match flaw {
        Flaw::FreshKey => vec![Kind::AnswersLost],
        Flaw::DeadlineAfterPivot => vec![Kind::WorkerFrozen, Kind::WorkerHung],
        Flaw::SettleUnasked => vec![Kind::ProviderSlow, Kind::AnswersLost],
        Flaw::StaleReads => vec![Kind::StreamStepDown, Kind::ConsumerStepDown, Kind::WorkerKilled],
        Flaw::AckBeforeRetry => vec![Kind::ProviderDown, Kind::WorkerDelayed, Kind::WorkerKilled],
        Flaw::AckBeforeAppend | Flaw::DecideOnce | Flaw::DroppedOnConflict => {
            vec![Kind::WorkerDelayed, Kind::WorkerKilled]
        }
        Flaw::NoGuard
        | Flaw::TwoGuards
        | Flaw::UndoUnderForwardKey
        | Flaw::OpenStepsLeft
        | Flaw::CancelledTooEarly
        | Flaw::JoinFiresEarly => vec![Kind::WorkerDelayed, Kind::Crowd],
    }
}

/// Runs in a folder of its own, or in the one that is to be kept, and prints the report.
fn carry_out(args: &Args) -> Result<Report> {
    let temporary = tempfile::tempdir()?;
    let dir = args.keep.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(dir).with_context(|| format!("--keep {} cannot be made", dir.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(interruptible(args.clone(), dir));
    drop(runtime); // with it goes whatever was started
    let report = report?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", report.table());
    }
    Ok(report)
}

/// Runs until the end or until a signal comes; every process that was started ends with it.
async fn interruptible(args: Args, dir: &Path) -> Result<Report> {
    let mut stop = jetsaga::on_signal()?;
    tokio::select! {
        done = run(args, dir) => done,
        _ = stop.wait_for(|stop| *stop) => bail!("stopped by a signal"),
    }
}
