//! Stock, one operation at a time and in random company: outcomes, costs and the books.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)] // a test

#[path = "stock/journal.rs"]
mod journal;

use checkout::{
    Item,
    stock::{Items, Operation, Outcome},
};
use journal::Journal;
use proptest::prelude::*;
use saga::Token;

fn token(text: &str) -> Token {
    text.parse().unwrap()
}

fn items(lines: &[(&str, u32)]) -> Items {
    let item = |&(sku, quantity): &(&str, u32)| Item {
        product_id: token(sku),
        quantity,
        unit_price: None,
    };
    Items::merge(&lines.iter().map(item).collect::<Vec<_>>()).unwrap()
}

fn stocked(stock: &[(&str, i64)]) -> Journal {
    let mut journal = Journal::default();
    for (sku, units) in stock {
        journal.run(Operation::adjust(
            token(&format!("initial-{sku}")),
            token(sku),
            *units,
        ));
    }
    journal.cost = (0, 0);
    journal
}

fn numbers(journal: &Journal, sku: &str) -> [u64; 3] {
    let product = journal.product(&token(sku));
    [product.on_hand, product.reserved, product.shipped]
}

#[test]
fn an_order_is_reserved_and_shipped_once() {
    let mut journal = stocked(&[("A", 5), ("B", 5)]);
    let takes = items(&[("A", 2), ("B", 1)]);
    for _ in 0..2 {
        let outcome = journal.run(Operation::reserve(token("ORD-1"), takes.clone()));
        assert_eq!(outcome, Outcome::Held);
    }
    assert_eq!(
        (numbers(&journal, "A"), numbers(&journal, "B")),
        ([3, 2, 0], [4, 1, 0])
    );
    for _ in 0..2 {
        assert_eq!(journal.run(Operation::ship(token("ORD-1"))), Outcome::Shipped);
    }
    assert_eq!(
        (numbers(&journal, "A"), numbers(&journal, "B")),
        ([3, 0, 2], [4, 0, 1])
    );
    assert_eq!(journal.run(Operation::release(token("ORD-1"))), Outcome::Shipped);
    assert_eq!(
        journal.run(Operation::settle(token("ORD-1"), takes)),
        Outcome::Held
    );
}

#[test]
fn what_is_held_can_be_released_once() {
    let mut journal = stocked(&[("A", 5)]);
    journal.run(Operation::reserve(token("ORD-1"), items(&[("A", 5)])));
    for _ in 0..2 {
        assert_eq!(journal.run(Operation::release(token("ORD-1"))), Outcome::Released);
    }
    assert_eq!(numbers(&journal, "A"), [5, 0, 0]);
    assert_eq!(journal.run(Operation::ship(token("ORD-1"))), Outcome::Released);
}

#[test]
fn a_short_product_refuses_the_whole_order_for_ever() {
    let mut journal = stocked(&[("A", 5), ("B", 1)]);
    let reserve = || Operation::reserve(token("ORD-1"), items(&[("A", 1), ("B", 1), ("B", 1)]));
    let refused = Outcome::Refused { short: token("B") };
    assert_eq!(journal.run(reserve()), refused);
    assert_eq!(
        (numbers(&journal, "A"), numbers(&journal, "B")),
        ([5, 0, 0], [1, 0, 0])
    );
    journal.run(Operation::adjust(token("delivery"), token("B"), 9));
    assert_eq!(journal.run(reserve()), refused);
    assert_eq!(journal.run(Operation::release(token("ORD-1"))), refused);
}

#[test]
fn a_settled_order_is_never_reserved() {
    let mut journal = stocked(&[("A", 5)]);
    let takes = items(&[("A", 1)]);
    assert_eq!(
        journal.run(Operation::settle(token("ORD-1"), takes.clone())),
        Outcome::Forbidden
    );
    assert_eq!(
        journal.run(Operation::reserve(token("ORD-1"), takes)),
        Outcome::Forbidden
    );
    assert_eq!(numbers(&journal, "A"), [5, 0, 0]);
    assert_eq!(journal.run(Operation::ship(token("ORD-2"))), Outcome::Absent);
}

#[test]
fn an_adjustment_counts_once_and_as_first_asked() {
    let mut journal = stocked(&[("A", 5)]);
    let adjusted = Outcome::Adjusted {
        sku: token("A"),
        quantity: -3,
    };
    for (sku, quantity) in [("A", -3), ("A", -3), ("A", 7), ("B", 1)] {
        let again = Operation::adjust(token("stocktake"), token(sku), quantity);
        assert_eq!(journal.run(again), adjusted);
    }
    assert_eq!(
        (numbers(&journal, "A"), numbers(&journal, "B")),
        ([2, 0, 0], [0, 0, 0])
    );
    for quantity in [-3, i64::MIN, i64::MAX] {
        let id = token(&format!("too-much-{}", quantity.unsigned_abs()));
        let (sku, operation) = (token("A"), Operation::adjust(id, token("A"), quantity));
        assert_eq!(journal.run(operation), Outcome::NotAdjusted { sku, quantity });
    }
}

/// (Loads, appends) of an order of `k` products.
#[test]
fn each_operation_costs_what_is_written() {
    for k in 1..5_u64 {
        let skus: Vec<_> = (0..k).map(|i| format!("P{i}")).collect();
        let mut journal = stocked(&skus.iter().map(|sku| (sku.as_str(), 100)).collect::<Vec<_>>());
        let takes = items(&skus.iter().map(|sku| (sku.as_str(), 1)).collect::<Vec<_>>());
        let id = || token("ORD-1");
        journal.run(Operation::reserve(id(), takes.clone()));
        // Each product still lists its initial adjustment, which is asked after.
        assert_eq!(journal.take_cost(), (2 * k + 1, k + 1));
        journal.run(Operation::ship(id()));
        assert_eq!(journal.take_cost(), (k + 2, k + 1));
        journal.run(Operation::ship(id()));
        assert_eq!(journal.take_cost(), (1, 0));
        journal.run(Operation::settle(token("ORD-2"), takes));
        assert_eq!(journal.take_cost(), (k + 1, k + 1));
        let short = items(&[("P0", 1_000)]);
        journal.run(Operation::reserve(token("ORD-3"), short));
        // Twice the product, the decider, and the product once more: it is short, so it needs no fence.
        assert_eq!(journal.take_cost(), (4, 1));
    }
}

/// The length of the list, and with it the cost of a load and an append, depends on what is in flight only.
#[test]
fn the_list_is_as_long_as_what_is_in_flight() {
    for together in [1_usize, 4, 16] {
        let mut journal = stocked(&[("A", 1_000_000)]);
        let longest: Vec<_> = (0..4)
            .map(|round| busy_round(&mut journal, round, together))
            .collect();
        println!("{together} together: longest lists {longest:?}");
        assert!(
            longest.iter().all(|length| *length <= together + 2),
            "{together}: {longest:?}"
        );
    }
}

/// 500 orders reserve and ship one product, `together` at a time in random company. The longest list.
fn busy_round(journal: &mut Journal, round: u32, together: usize) -> usize {
    let takes = items(&[("A", 1)]);
    let mut orders = (0..500).map(|i| token(&format!("ORD-{round}-{i}")));
    let mut busy: Vec<(Token, Operation)> = Vec::new();
    let (mut longest, mut random) = (0, 1_u64);
    loop {
        let reserve = |order: Token| (order.clone(), Operation::reserve(order, takes.clone()));
        busy.extend(orders.by_ref().map(reserve).take(together - busy.len()));
        if busy.is_empty() {
            return longest;
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let i = usize::try_from(random >> 33).unwrap() % busy.len();
        let (order, operation) = &mut busy[i];
        match journal.step(operation) {
            Some(Outcome::Held) => *operation = Operation::ship(order.clone()),
            Some(outcome) => {
                assert_eq!(outcome, Outcome::Shipped);
                busy.swap_remove(i);
            }
            None => {}
        }
        longest = longest.max(journal.product(&token("A")).in_flight.len());
    }
}

/// What a random world does: an operation begins, or one in progress makes a step and meets a fault.
#[derive(Clone, Debug)]
enum Deed {
    Begin(Operation),
    Step { which: usize, lost: bool },
    Die(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let order = (0..6_u32).prop_map(|n| (token(&format!("ORD-{n}")), n));
    let begin = (order, 0..6_u8, -4..6_i64).prop_map(|((order, n), what, by)| {
        let sku = |i: u32| ["A", "B", "C"][(i % 3) as usize];
        let takes = || items(&[(sku(n), 1 + n % 3), (sku(n / 2), 1), (sku(n + 1), 2)]);
        Deed::Begin(match what {
            0 | 1 => Operation::reserve(order.clone(), takes()),
            2 => Operation::settle(order.clone(), takes()),
            3 => Operation::release(order),
            4 => Operation::ship(order),
            _ => Operation::adjust(token(&format!("adjust-{n}")), token(sku(n)), by),
        })
    });
    let step =
        (any::<usize>(), prop::bool::weighted(0.1)).prop_map(|(which, lost)| Deed::Step { which, lost });
    let die = any::<usize>().prop_map(Deed::Die);
    prop::collection::vec(prop_oneof![2 => begin, 12 => step, 1 => die], 0..300)
}

proptest! {
    /// Whatever happened before: once every operation is done anew, the books are right, for every order.
    #[test]
    fn random_company_ends_with_the_books_in_order(deeds in deeds()) {
        let mut journal = stocked(&[("A", 6), ("B", 5), ("C", 4)]);
        let (mut begun, mut operations) = (Vec::new(), Vec::<Operation>::new());
        for deed in deeds {
            match deed {
                Deed::Begin(operation) => {
                    begun.push(operation.clone());
                    operations.push(operation);
                }
                Deed::Step { which, lost } if !operations.is_empty() => {
                    let i = which % operations.len();
                    journal.loses_answers = lost;
                    if journal.step(&mut operations[i]).is_some() {
                        operations.swap_remove(i);
                    }
                }
                Deed::Die(which) if !operations.is_empty() => {
                    operations.swap_remove(which % operations.len());
                }
                Deed::Step { .. } | Deed::Die(_) => {}
            }
        }
        journal.loses_answers = false;
        let outcomes: Vec<_> = begun.iter().map(|o| journal.run(o.clone())).collect();
        let again: Vec<_> = begun.iter().map(|o| journal.run(o.clone())).collect();
        prop_assert_eq!(outcomes.len(), again.len());
        journal.check();
    }
}
