//! The model checker, by hand: larger bounds than the tests have time for.

use std::{env, process::ExitCode};

use anyhow::bail;
use jetsaga_tests::model::{self, Config, Limits, Model, Seed};

const USAGE: &str = "usage: model clean FAULTS TURNS | model seeds | model all";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let fine = match words[..] {
        ["clean", faults, turns] => clean("checkout", Config::clean(faults.parse()?, turns.parse()?))?,
        ["seeds"] => seeds()?,
        ["all"] => {
            let mut fine = seeds()?;
            for (plan, faults, turns) in [
                ("trip", 1, 1),
                ("trip", 2, 0),
                ("checkout", 1, 2),
                ("checkout", 2, 1),
            ] {
                fine &= clean(plan, Config::clean(faults, turns))?;
            }
            fine
        }
        _ => bail!(USAGE),
    };
    Ok(if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// True if the right protocol keeps its promises as far as the limits allow to look.
fn clean(plan: &str, config: Config) -> anyhow::Result<bool> {
    let plan_ = if plan == "trip" {
        model::chain()?
    } else {
        model::checkout()?
    };
    let model = Model::new(plan_, config)?;
    let search = model::search(
        &model,
        Limits {
            states: 200_000_000,
            memory: 12 << 30,
        },
    );
    println!(
        "{plan}, {} faults, {} turns: {search}",
        config.faults, config.turns
    );
    if let Some(found) = &search.found {
        println!("{}", found.tell(&model));
    }
    Ok(search.found.is_none())
}

/// True if every bug is found.
fn seeds() -> anyhow::Result<bool> {
    let mut all = true;
    for seed in Seed::ALL {
        let model = Model::new(seed.plan()?, Config::seeded(seed))?;
        let search = model::search(
            &model,
            Limits {
                states: 50_000_000,
                memory: 8 << 30,
            },
        );
        println!("{seed}: {search}");
        match &search.found {
            Some(found) => println!("{}", found.tell(&model)),
            None => all = false,
        }
    }
    Ok(all)
}
