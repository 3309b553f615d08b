//! The stock protocol, model-checked: every interleaving of a few workers over a few orders, with crashes,
//! zombies, redeliveries, doubtful and late appends and stale reads. The workers run the product's own code.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)] // a test

#[path = "stock_model/audit.rs"]
mod audit;
#[path = "stock_model/flaw.rs"]
mod flaw;
#[path = "stock_model/search.rs"]
mod search;
#[path = "stock_model/world.rs"]
mod world;

use checkout::{
    Item,
    stock::{Items, Key, Operation},
};
use flaw::Flaw;
use saga::Token;
use search::{Found, explore};
use world::{Entity, Faults, Gate, Task, World};

/// Enough for every scenario; one that does not end below it has outgrown this test.
const LIMIT: usize = 3_000_000;

struct Scenario {
    name: &'static str,
    stock: [(&'static str, u64); 2],
    tasks: Vec<Task>,
    faults: Faults,
}

impl Scenario {
    fn explore(&self, flaw: Flaw, limit: usize) -> Found {
        let stock = self.stock.map(|(sku, units)| (Key::Product(token(sku)), Entity::product(units)));
        let deciders = self.tasks.iter().map(|task| match &task.own {
            key @ Key::Adjustment(_) => (key.clone(), Entity::adjustment()),
            key => (key.clone(), Entity::reservation()),
        });
        let world = World::new(&self.tasks, stock.into_iter().chain(deciders).collect(), self.faults);
        explore(&world, &self.tasks, flaw, limit)
    }
}

fn token(text: &str) -> Token {
    text.parse().unwrap()
}

fn items(text: &str) -> Items {
    let line = |sku| Item {
        product_id: token(sku),
        quantity: 1,
        unit_price: None,
    };
    let skus = text.as_bytes().chunks(1).map(|c| std::str::from_utf8(c).unwrap());
    Items::merge(&skus.map(line).collect::<Vec<_>>()).unwrap()
}

fn reserve(name: &'static str, takes: &str, group: usize) -> Task {
    let order = token(name.split_once(' ').unwrap().1);
    Task::new(name, group, Gate::Always, Operation::reserve(order, items(takes)))
}

fn settle(name: &'static str, takes: &str, group: usize) -> Task {
    let order = token(name.split_once(' ').unwrap().1);
    Task::new(name, group, Gate::Always, Operation::settle(order, items(takes)))
}

fn release(name: &'static str, group: usize) -> Task {
    let order = token(name.split_once(' ').unwrap().1);
    Task::new(name, group, Gate::Held(Key::Reservation(order.clone())), Operation::release(order))
}

fn ship(name: &'static str, group: usize) -> Task {
    let order = token(name.split_once(' ').unwrap().1);
    Task::new(name, group, Gate::Held(Key::Reservation(order.clone())), Operation::ship(order))
}

fn adjust(name: &'static str, sku: &str, by: i64, group: usize) -> Task {
    let id = token(name.split_once(' ').unwrap().1);
    Task::new(name, group, Gate::Always, Operation::adjust(id, token(sku), by))
}

const fn faults(restarts: u8, unknowns: u8, stale: bool) -> Faults {
    Faults { restarts, unknowns, stale }
}

/// A quantity is the number of times that the letter stands in the items.
fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario {
            name: "one order of two items, a zombie, and a settle",
            stock: [("A", 5), ("B", 5)],
            tasks: vec![reserve("reserve 1", "AB", 0), reserve("reserve 1", "AB", 0), settle("settle 1", "AB", 0)],
            faults: faults(1, 1, true),
        },
        Scenario {
            name: "the second item is short",
            stock: [("A", 5), ("B", 1)],
            tasks: vec![reserve("reserve 1", "ABB", 0), reserve("reserve 1", "ABB", 0), adjust("adjust x", "B", 1, 1)],
            faults: faults(1, 1, true),
        },
        Scenario {
            name: "two orders want the last pieces",
            stock: [("A", 1), ("B", 1)],
            tasks: vec![
                reserve("reserve 1", "AB", 0),
                reserve("reserve 1", "AB", 0),
                reserve("reserve 2", "AB", 1),
                reserve("reserve 2", "AB", 1),
            ],
            faults: faults(0, 0, false),
        },
    ]
}

fn report(scenario: &Scenario, flaw: Flaw, found: &Found) {
    let Found { states, at_rest, exhausted, seconds, .. } = found;
    println!("{} [{flaw:?}]: {states} states, {at_rest} at rest, exhausted {exhausted}, {seconds:.1} s", scenario.name);
    if let Some((why, moves)) = &found.violation {
        println!("  {why}");
        moves.iter().for_each(|m| println!("    {m}"));
    }
}

#[test]
fn the_protocol_holds_in_every_state() {
    for scenario in scenarios() {
        let found = scenario.explore(Flaw::None, LIMIT);
        report(&scenario, Flaw::None, &found);
        assert!(found.violation.is_none(), "{}", scenario.name);
        assert!(found.exhausted && found.at_rest > 0, "{} is not explored to the end", scenario.name);
    }
}

#[test]
fn every_flaw_is_found() {
    for flaw in Flaw::ALL {
        let found = scenarios().iter().any(|scenario| {
            let found = scenario.explore(flaw, LIMIT);
            report(scenario, flaw, &found);
            found.violation.is_some()
        });
        assert!(found, "{flaw:?} goes unnoticed");
    }
}
