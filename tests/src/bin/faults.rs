//! The fault run, by hand or for a test: see `jetsaga_tests::faultrun`.

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use jetsaga_tests::faultrun::{Args, Report, run};

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let temporary = tempfile::tempdir()?;
    let dir = args.keep.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(dir).with_context(|| format!("--keep {} cannot be made", dir.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(interruptible(args.clone(), dir))?;
    drop(runtime); // with it goes whatever was started
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", report.table());
    }
    let fine = report.violations.is_empty() != args.expect_violation;
    Ok(if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs until the end or until a signal comes; every process that was started ends with it.
async fn interruptible(args: Args, dir: &Path) -> Result<Report> {
    let mut stop = jetsaga::on_signal()?;
    tokio::select! {
        done = run(args, dir) => done,
        _ = stop.wait_for(|stop| *stop) => bail!("stopped by a signal"),
    }
}
