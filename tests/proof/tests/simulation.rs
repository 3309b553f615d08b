//! The product's own workers, simulated: with every fault at any time the books hold, every fault and every point is
//! reached, and every bug put into the workers is caught.

use std::{env, thread};

use engine::faults::Flaw;
use jetsaga_proof::sim::{self, Campaign, Outcome, Setup};

/// How many seeds are run. `SIMULATION_SEEDS` asks for another number; with fewer than a tenth, not everything is reached.
const SEEDS: u64 = 20_000;
/// How many seeds a bug may hide in.
const PATIENCE: u64 = 2_000;

#[test]
fn the_books_hold_whatever_happens() {
    let asked = env::var("SIMULATION_SEEDS")
        .ok()
        .map(|seeds| seeds.parse().unwrap());
    let count = asked.unwrap_or(SEEDS);
    let outcome = campaign(count, None).unwrap();
    println!("{}\n{:.1?}", outcome.tally, outcome.took);
    if let Some(failed) = &outcome.failed {
        panic!("{failed}");
    }
    assert!(outcome.tally.fewest_orders >= 10 && outcome.tally.fewest_faults >= 5);
    if count >= SEEDS / 10 {
        assert_eq!(outcome.tally.empty(), [""; 0], "never reached");
    }
}

#[test]
fn every_bug_is_caught() {
    for flaw in Flaw::ALL {
        let outcome = campaign(PATIENCE, Some(flaw)).unwrap();
        let failed = outcome.failed.unwrap_or_else(|| panic!("{flaw:?} is not caught"));
        let sentence = failed.ran.violations[0].lines().next().unwrap_or_default();
        println!("{flaw:?}: caught by seed {}: {sentence}", failed.setup.seed);
    }
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    sim::quiet();
    for seed in 1..=20 {
        let setup = Setup {
            seed,
            flaw: None,
            is_told: true,
        };
        let (first, second) = (sim::run(setup).unwrap(), sim::run(setup).unwrap());
        assert_eq!(first.story, second.story, "seed {seed}");
        assert!(
            first.digest.is_some() && first.digest == second.digest,
            "seed {seed}"
        );
        assert_eq!(first.tally, second.tally, "seed {seed}");
    }
}

fn campaign(count: u64, flaw: Option<Flaw>) -> anyhow::Result<Outcome> {
    let threads = thread::available_parallelism().map_or(1, Into::into);
    sim::campaign(Campaign {
        first: 1,
        count,
        flaw,
        threads,
    })
}
