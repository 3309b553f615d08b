//! The model checker, by hand: larger bounds than the tests have time for.

use std::{env, process::ExitCode};

use anyhow::bail;
use jetsaga_proof::model::{self, Config, Limits, Model, Search, Seed};
use saga::Plan;

const USAGE: &str = "usage: model clean FAULTS TURNS | model seeds | model forgetting | model all";

/// A search that needs more is cut, and says so. A table that doubles at the limit takes twice as much for a
/// moment.
const LIMITS: Limits = Limits {
    states: 150_000_000,
    memory: 8 << 30,
};

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let fine = match words[..] {
        ["clean", faults, turns] => {
            clean(model::checkout()?, Config::clean(faults.parse()?, turns.parse()?))?
        }
        ["seeds"] => seeds()?,
        ["forgetting"] => forgetting()?,
        ["all"] => seeds()? & forgetting()? & larger()?,
        _ => bail!(USAGE),
    };
    Ok(if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// True if the right protocol keeps its promises within bounds that take minutes.
fn larger() -> anyhow::Result<bool> {
    let mut fine = true;
    for (faults, turns) in [(1, 2), (2, 1)] {
        fine &= clean(model::chain()?, Config::clean(faults, turns))?;
        fine &= clean(model::checkout()?, Config::clean(faults, turns))?;
    }
    Ok(fine)
}

/// True if forgetting what is over hides no journal of a saga with a turn.
fn forgetting() -> anyhow::Result<bool> {
    let forgetting = Config::clean(0, 1);
    let remembering = Config {
        forget: false,
        ..forgetting
    };
    let small = explore(model::chain()?, forgetting)?;
    let large = explore(model::chain()?, remembering)?;
    Ok(small.journals == large.journals && large.found.is_none())
}

/// True if the right protocol keeps its promises as far as the limits allow to look.
fn clean(plan: Plan, config: Config) -> anyhow::Result<bool> {
    Ok(explore(plan, config)?.found.is_none())
}

/// True if every bug is found.
fn seeds() -> anyhow::Result<bool> {
    let mut all = true;
    for seed in Seed::ALL {
        print!("{seed}: ");
        all &= explore(seed.plan()?, Config::seeded(seed))?.found.is_some();
    }
    Ok(all)
}

/// Searches, and prints what came of it.
fn explore(plan: Plan, config: Config) -> anyhow::Result<Search> {
    let name = plan.saga.clone();
    let model = Model::new(plan, config)?;
    let search = model::search(&model, LIMITS);
    println!(
        "{name}, {} faults, {} turns: {search}",
        config.faults, config.turns
    );
    if let Some(found) = &search.found {
        println!("{}", found.tell(&model));
    }
    Ok(search)
}
