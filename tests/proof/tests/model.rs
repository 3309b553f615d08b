//! The protocol, model-checked: the right one keeps its promises, and every bug put into it is found.

use std::time::Duration;

use jetsaga_proof::model::{self, Config, Limits, Model, Search, Seed};
use saga::Plan;

/// More than any of these searches takes: reaching it is a failure.
const LIMITS: Limits = Limits {
    states: 20_000_000,
    memory: 2 << 30,
};

#[test]
fn a_checkout_survives_any_fault_at_any_time_with_a_deadline() {
    assert_clean(model::checkout().unwrap(), Config::clean(1, 1)).unwrap();
}

#[test]
fn a_checkout_survives_any_three_faults() {
    assert_clean(model::checkout().unwrap(), Config::clean(3, 0)).unwrap();
}

#[test]
fn a_chain_without_a_pivot_survives_any_fault_with_a_deadline() {
    assert_clean(model::chain().unwrap(), Config::clean(1, 1)).unwrap();
}

#[test]
fn a_chain_without_a_pivot_survives_any_two_faults() {
    assert_clean(model::chain().unwrap(), Config::clean(2, 0)).unwrap();
}

#[test]
fn every_seeded_bug_is_found() {
    for seed in Seed::ALL {
        let model = Model::new(seed.plan().unwrap(), Config::seeded(seed)).unwrap();
        let search = model::search(&model, LIMITS);
        println!("{seed}: {search}");
        let found = search.found.unwrap_or_else(|| panic!("{seed}: not found"));
        println!("{}", found.tell(&model));
    }
}

/// A counterexample is there to be read.
#[test]
fn a_counterexample_is_a_short_story() {
    let model = Model::new(model::checkout().unwrap(), Config::seeded(Seed::SettleByAsking)).unwrap();
    let found = model::search(&model, LIMITS).found.unwrap();
    assert_eq!(
        found.tell(&model).trim_start(),
        "\
   1   payment    takes OrderCreated with the state of 1 event: run
   2 ! payment    runs its effect: no answer comes; that was the last attempt
   3   payment    settles its key: nothing happened so far
   4   payment    appends PaymentFailed: nothing to do, acknowledged
   5   payment    (a request that nobody waits for arrives: it happened)
       => payment is refused in the journal and happened outside
          journal  OrderCreated, PaymentFailed
          saga     compensating: payment refused, inventory open, shipping waiting
          world    payment happened, inventory untouched, shipping untouched
"
    );
}

/// Forgetting what is over hides nothing: the same journals come up, and both ways all is well. (By hand, with a
/// turn: `model forgetting`.)
#[test]
fn what_is_over_may_be_forgotten() {
    for (plan, faults) in [(model::checkout().unwrap(), 0), (model::chain().unwrap(), 1)] {
        let forgetting = Config::clean(faults, 0);
        let small = assert_clean(plan.clone(), forgetting).unwrap();
        let remembering = Config {
            forget: false,
            ..forgetting
        };
        let large = assert_clean(plan, remembering).unwrap();
        assert_eq!(small.journals, large.journals);
        assert!(small.states < large.states);
    }
}

/// A journal that `evolve` allows holds no event twice (or `grow` fails) and nothing after its end, and every one
/// that could come up does: nothing is checked in vain.
#[test]
fn the_search_meets_every_journal_that_evolve_allows() {
    let search = assert_clean(model::checkout().unwrap(), Config::clean(0, 2)).unwrap();
    let model = Model::new(model::checkout().unwrap(), Config::clean(0, 2)).unwrap();
    let unmet: Vec<String> = model
        .journals()
        .all()
        .filter(|j| !search.journals[j.index()])
        .map(|j| {
            model
                .journals()
                .back(j)
                .map(|b| model.journals().name(model.journals().last(b)).to_string() + " ")
                .collect()
        })
        .collect();
    assert_eq!(unmet, [""; 0]);
}

fn assert_clean(plan: Plan, config: Config) -> anyhow::Result<Search> {
    let name = plan.saga.clone();
    let model = Model::new(plan, config)?;
    let search = model::search(&model, LIMITS);
    println!(
        "{name}, {} faults, {} turns: {search}",
        config.faults, config.turns
    );
    let story = search.found.as_ref().map(|found| found.tell(&model));
    assert!(story.is_none(), "{}", story.unwrap_or_default());
    assert!(!search.cut, "the limits are too tight");
    assert!(search.took < Duration::from_mins(3) && search.completed > 0 && search.cancelled > 0);
    Ok(search)
}
