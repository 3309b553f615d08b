//! The simulation, by hand: one seed with its story, or a range of them.

use std::{env, process::ExitCode, thread};

use anyhow::bail;
use engine::faults::Flaw;
use jetsaga_proof::sim::{self, Campaign, Failed, Setup};

const USAGE: &str =
    "usage: simulate SEED [--flaw NAME] | simulate FIRST COUNT [--flaw NAME] | simulate flaws COUNT";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let named = |name: &str| name.parse::<Flaw>().map_err(anyhow::Error::msg);
    let is_fine = match words[..] {
        ["flaws", count] => flaws(count.parse()?)?,
        [seed] => one(seed.parse()?, None)?,
        [seed, "--flaw", name] => one(seed.parse()?, Some(named(name)?))?,
        [first, count] => many(first.parse()?, count.parse()?, None)?,
        [first, count, "--flaw", name] => many(first.parse()?, count.parse()?, Some(named(name)?))?,
        _ => bail!(USAGE),
    };
    Ok(if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Tells the story of one seed. True if its books hold.
fn one(seed: u64, flaw: Option<Flaw>) -> anyhow::Result<bool> {
    sim::quiet();
    let setup = Setup {
        seed,
        flaw,
        is_told: true,
    };
    let ran = sim::run(setup)?;
    let is_fine = ran.violations.is_empty();
    println!("{}", Failed { setup, ran });
    Ok(is_fine)
}

/// Runs a range of seeds, and shows what was reached. True if all books hold.
fn many(first: u64, count: u64, flaw: Option<Flaw>) -> anyhow::Result<bool> {
    let threads = thread::available_parallelism()?.get();
    let outcome = sim::campaign(Campaign {
        first,
        count,
        flaw,
        threads,
    })?;
    println!("{}", outcome.tally);
    let empty = outcome.tally.empty();
    if !empty.is_empty() {
        println!("never reached: {}", empty.join("; "));
    }
    println!("{:.1?} on {threads} threads", outcome.took);
    if let Some(failed) = &outcome.failed {
        println!("{failed}");
    }
    Ok(outcome.failed.is_none())
}

/// Looks for every bug. True if each is caught within `count` seeds.
fn flaws(count: u64) -> anyhow::Result<bool> {
    let threads = thread::available_parallelism()?.get();
    let mut all = true;
    for flaw in Flaw::ALL {
        let outcome = sim::campaign(Campaign {
            first: 1,
            count,
            flaw: Some(flaw),
            threads,
        })?;
        match outcome.failed {
            Some(failed) => {
                let first = failed
                    .ran
                    .violations
                    .first()
                    .map_or("", |v| v.lines().next().unwrap_or(""));
                println!("{flaw:?}: caught by seed {}: {first}", failed.setup.seed);
            }
            None => {
                all = false;
                println!("{flaw:?}: not caught by {count} seeds");
            }
        }
    }
    Ok(all)
}
