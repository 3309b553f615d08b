//! The small worlds that are explored.

use checkout::{
    Item,
    stock::{Items, Key, Operation},
};
use saga::Token;

use super::{
    entity::Entity,
    flaw::Flaw,
    search::{Found, explore},
    task::{Faults, Gate, Task},
    world::World,
};

#[derive(Clone)]
pub struct Scenario {
    pub name: &'static str,
    stock: [(&'static str, u64); 2],
    tasks: Vec<Task>,
    faults: Faults,
}

impl Scenario {
    pub fn explore(&self, flaw: Flaw, limit: usize) -> Found {
        let stock = self
            .stock
            .map(|(sku, units)| (Key::Product(token(sku)), Entity::product(units)));
        let deciders = self.tasks.iter().map(|task| match &task.own {
            key @ Key::Adjustment(_) => (key.clone(), Entity::adjustment()),
            key => (key.clone(), Entity::reservation()),
        });
        let world = World::new(
            &self.tasks,
            stock.into_iter().chain(deciders).collect(),
            self.faults,
        );
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
    Task::new(
        name,
        takes,
        group,
        Gate::Always,
        Operation::reserve(order, items(takes)),
    )
}

fn settle(name: &'static str, takes: &str, group: usize) -> Task {
    let order = token(name.split_once(' ').unwrap().1);
    Task::new(
        name,
        takes,
        group,
        Gate::Always,
        Operation::settle(order, items(takes)),
    )
}

fn release(name: &'static str, takes: &str, group: usize) -> Task {
    let order = token(name.split_once(' ').unwrap().1);
    Task::new(
        name,
        takes,
        group,
        Gate::Held(Key::Reservation(order.clone())),
        Operation::release(order),
    )
}

fn ship(name: &'static str, takes: &str, group: usize) -> Task {
    let order = token(name.split_once(' ').unwrap().1);
    Task::new(
        name,
        takes,
        group,
        Gate::Held(Key::Reservation(order.clone())),
        Operation::ship(order),
    )
}

fn adjust(name: &'static str, sku: &str, by: i64, group: usize) -> Task {
    let id = token(name.split_once(' ').unwrap().1);
    Task::new(
        name,
        sku,
        group,
        Gate::Always,
        Operation::adjust(id, token(sku), by),
    )
}

const fn faults(restarts: u8, unknowns: u8, stale: bool) -> Faults {
    Faults {
        restarts,
        unknowns,
        stale,
    }
}

/// A name, the stock of A and of B, who works, and what may fail. A quantity is the number of times that the
/// letter stands in what an order takes; tasks with the same last number have the same obligation.
pub fn scenarios() -> Vec<Scenario> {
    [orders(), endings(), adjustments()].concat()
}

fn scenario(name: &'static str, (a, b): (u64, u64), tasks: &[Task], faults: Faults) -> Scenario {
    Scenario {
        name,
        stock: [("A", a), ("B", b)],
        tasks: tasks.to_vec(),
        faults,
    }
}

fn orders() -> Vec<Scenario> {
    let zombies = |name, takes, group| [reserve(name, takes, group), reserve(name, takes, group)];
    let two = zombies("reserve 1", "AB", 0);
    let one = zombies("reserve 1", "A", 0);
    let short = zombies("reserve 1", "ABB", 0);
    let rival = zombies("reserve 2", "AB", 1);
    let settled = [reserve("reserve 2", "A", 1), settle("settle 2", "A", 1)];
    vec![
        scenario(
            "two orders, enough for both, sweep each other's entries",
            (5, 5),
            &[one.clone(), settled].concat(),
            faults(0, 0, true),
        ),
        scenario(
            "a settle beats a reserve and its zombie, two items",
            (5, 5),
            &[&two[..], &[settle("settle 1", "AB", 0)]].concat(),
            faults(0, 1, false),
        ),
        scenario(
            "a settle beats a reserve and its zombie, everything fails",
            (5, 5),
            &[&one[..], &[settle("settle 1", "A", 0)]].concat(),
            faults(2, 2, true),
        ),
        scenario(
            "the second item is short, until it is delivered",
            (5, 1),
            &[&short[..], &[adjust("adjust x", "B", 1, 1)]].concat(),
            faults(0, 1, false),
        ),
        scenario(
            "two orders want the last pieces",
            (1, 1),
            &[two, rival].concat(),
            faults(0, 0, false),
        ),
    ]
}

fn endings() -> Vec<Scenario> {
    let orders = [
        reserve("reserve 1", "A", 0),
        reserve("reserve 2", "A", 1),
        reserve("reserve 3", "A", 2),
    ];
    let first = reserve("reserve 1", "AB", 0);
    let (shipment, back) = (ship("ship 1", "AB", 1), release("release 1", "AB", 1));
    vec![
        scenario(
            "three orders for two pieces; one is shipped, one is released",
            (2, 0),
            &[
                &orders[..],
                &[ship("ship 1", "A", 3), release("release 2", "A", 4)],
            ]
            .concat(),
            faults(0, 0, false),
        ),
        scenario(
            "a release and its zombie, while a reserve and a settle linger",
            (5, 5),
            &[
                first.clone(),
                settle("settle 1", "AB", 0),
                back.clone(),
                back.clone(),
            ],
            faults(0, 1, true),
        ),
        scenario(
            "a shipment and its zombie, while another order comes by",
            (5, 5),
            &[
                first.clone(),
                shipment.clone(),
                shipment.clone(),
                reserve("reserve 2", "A", 2),
            ],
            faults(0, 0, true),
        ),
        scenario(
            "a release and a shipment at once",
            (5, 5),
            &[first, shipment, back],
            faults(1, 1, true),
        ),
    ]
}

fn adjustments() -> Vec<Scenario> {
    let twice = [adjust("adjust x", "A", -1, 0), adjust("adjust x", "A", -1, 0)];
    let others = [reserve("reserve 1", "A", 1), adjust("adjust y", "A", 1, 2)];
    let name = "an adjustment takes what an order wants";
    vec![scenario(
        name,
        (1, 0),
        &[twice, others].concat(),
        faults(0, 0, false),
    )]
}

/// Too much for every run: some ten million states.
pub fn large() -> Vec<Scenario> {
    let mut scenarios = scenarios();
    for (scenario, faults) in scenarios.iter_mut().zip([
        faults(0, 1, true),
        faults(1, 1, true),
        faults(3, 2, true),
        faults(1, 1, true),
        faults(0, 0, true),
        faults(0, 1, true),
        faults(1, 1, true),
        faults(0, 1, true),
        faults(2, 2, true),
        faults(1, 1, true),
    ]) {
        scenario.faults = faults;
    }
    scenarios
}
