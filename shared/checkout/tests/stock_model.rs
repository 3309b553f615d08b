//! The stock protocol, model-checked: every interleaving of a few workers over a few orders, with crashes,
//! zombies, redeliveries, doubtful and late appends and stale reads. The workers run the product's own code.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)] // a test

#[path = "stock_model/audit.rs"]
mod audit;
#[path = "stock_model/entity.rs"]
mod entity;
#[path = "stock_model/flaw.rs"]
mod flaw;
#[path = "stock_model/landing.rs"]
mod landing;
#[path = "stock_model/moves.rs"]
mod moves;
#[path = "stock_model/scenario.rs"]
mod scenario;
#[path = "stock_model/search.rs"]
mod search;
#[path = "stock_model/task.rs"]
mod task;
#[path = "stock_model/world.rs"]
mod world;

use std::collections::BTreeSet;

use flaw::Flaw;
use scenario::{Scenario, large, scenarios};
use search::Found;

fn report(scenario: &Scenario, flaw: Flaw, found: &Found) {
    let Found {
        states,
        at_rest,
        exhausted,
        seconds,
        ..
    } = found;
    println!(
        "{} [{flaw:?}]: {states} states, {at_rest} at rest, exhausted {exhausted}, {seconds:.1} s",
        scenario.name
    );
    if let Some((why, moves)) = &found.violation {
        println!("  {why}");
        moves.iter().for_each(|m| println!("    {m}"));
    }
}

fn holds(scenarios: &[Scenario], limit: usize) {
    let mut happened = BTreeSet::new();
    for scenario in scenarios {
        let found = scenario.explore(Flaw::None, limit);
        report(scenario, Flaw::None, &found);
        assert!(found.violation.is_none(), "{}", scenario.name);
        assert!(
            found.exhausted && found.at_rest > 0,
            "{} is not explored to the end",
            scenario.name
        );
        happened.extend(found.happened);
    }
    let happened: Vec<_> = happened.into_iter().collect();
    println!("{happened:?}");
    assert_eq!(
        happened.len(),
        14 + 7 + 2,
        "not everything happened: {happened:?}"
    );
}

#[test]
fn the_protocol_holds_in_every_state() {
    holds(&scenarios(), 1_000_000);
}

#[test]
#[ignore = "minutes, and gigabytes: run it when the protocol changes"]
fn the_protocol_holds_under_more_faults() {
    holds(&large(), 12_000_000);
}

#[test]
fn every_flaw_is_found() {
    for flaw in Flaw::ALL {
        let found = scenarios().iter().any(|scenario| {
            let found = scenario.explore(flaw, 1_000_000);
            report(scenario, flaw, &found);
            found.violation.is_some()
        });
        assert!(found, "{flaw:?} goes unnoticed");
    }
}
