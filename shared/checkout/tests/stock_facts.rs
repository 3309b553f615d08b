//! What may follow what, how the numbers move, and how it looks on the wire.

#![allow(clippy::unwrap_used)] // a test

use checkout::{
    Item,
    stock::{
        Absorbed, Adjustment, AdjustmentFact, AdjustmentNote, AdjustmentStatus, Cause, Items, Ledger, Mark,
        Move, Product, ProductFact, Reservation, ReservationDecision, ReservationFact, ReservationStatus,
        Settled, StockChange, StockError,
    },
};
use proptest::prelude::*;
use saga::{Entity, Event, EventId, More, Payload, Timestamp, Token};

fn token(text: &str) -> Token {
    text.parse().unwrap()
}

fn items() -> Items {
    Items::merge(&[Item {
        product_id: token("A"),
        quantity: 2,
        unit_price: None,
    }])
    .unwrap()
}

fn mark(kind: Move, id: &str) -> Mark {
    Mark { kind, id: token(id) }
}

fn product([on_hand, reserved, shipped]: [u64; 3], list: &[(Move, &str, i64)]) -> Product {
    let entry = |&(kind, id, quantity): &(Move, &str, i64)| Absorbed {
        mark: mark(kind, id),
        quantity,
        more: More::default(),
    };
    let in_flight = list.iter().map(entry).collect();
    Product {
        on_hand,
        reserved,
        shipped,
        in_flight,
        more: More::default(),
    }
}

fn change(cause: Cause, quantity: i64, settled: &[(Move, &str, bool)]) -> StockChange {
    let settle = |&(kind, id, withdrawn): &(Move, &str, bool)| Settled {
        mark: mark(kind, id),
        withdrawn,
    };
    StockChange {
        sku: token("A"),
        cause,
        quantity,
        settled: settled.iter().map(settle).collect(),
    }
}

fn order(id: &str) -> Cause {
    Cause::OrderId(token(id))
}

fn adjustment(id: &str) -> Cause {
    Cause::AdjustmentId(token(id))
}

#[test]
fn a_reservation_is_decided_once_and_ends_once() {
    use ReservationFact as F;
    use ReservationStatus as S;
    let all = [
        (F::ReservationHeld, S::Held),
        (F::ReservationRefused, S::Refused),
        (F::ReservationForbidden, S::Forbidden),
        (F::ReservationReleased, S::Released),
        (F::ReservationShipped, S::Shipped),
    ];
    let (order_id, items, short) = (token("ORD-1"), items(), None);
    let decision = ReservationDecision {
        order_id,
        items: items.clone(),
        short: short.clone(),
    };
    for (fact, status) in all {
        let ends = matches!(status, S::Released | S::Shipped);
        let first = Reservation::after(None, fact, &decision);
        assert_eq!(
            first.map(|r| r.status).ok(),
            (!ends).then_some(status),
            "{fact:?} first"
        );
        for (_, before) in all {
            let (items, short) = (items.clone(), short.clone());
            let reservation = Reservation {
                status: before,
                items,
                short,
                more: More::default(),
            };
            let after = Reservation::after(Some(&reservation), fact, &decision).map(|r| r.status);
            let legal = before == S::Held && ends;
            assert_eq!(after.ok(), legal.then_some(status), "{fact:?} after {before:?}");
        }
    }
}

#[test]
fn an_adjustment_is_requested_then_decided_once() {
    use AdjustmentFact as F;
    use AdjustmentStatus as S;
    let note = |quantity| AdjustmentNote {
        adjustment_id: token("x"),
        sku: token("A"),
        quantity,
    };
    let requested = Adjustment::after(None, F::AdjustmentRequested, &note(3)).unwrap();
    assert_eq!(requested.status, S::Requested);
    for first in [F::AdjustmentApplied, F::AdjustmentRefused] {
        Adjustment::after(None, first, &note(3)).unwrap_err();
        let decided = Adjustment::after(Some(&requested), first, &note(99)).unwrap();
        assert_eq!(decided.quantity, 3, "the first request counts");
        for then in [F::AdjustmentRequested, F::AdjustmentApplied, F::AdjustmentRefused] {
            Adjustment::after(Some(&decided), then, &note(3)).unwrap_err();
        }
    }
    Adjustment::after(Some(&requested), F::AdjustmentRequested, &note(3)).unwrap_err();
}

#[test]
fn what_cannot_follow_changes_nothing() {
    use ProductFact as F;
    let held = product([3, 2, 0], &[(Move::Hold, "1", 2)]);
    let released = product([5, 0, 0], &[(Move::Release, "1", 2)]);
    let taken = || StockError::Absorbed(token("1"));
    let missing = |id| StockError::NotAbsorbed(token(id));
    for (before, fact, change, why) in [
        (&held, F::StockReserved, change(order("1"), 2, &[]), taken()),
        (
            &held,
            F::StockReserved,
            change(order("2"), 4, &[]),
            StockError::Short(4),
        ),
        (
            &held,
            F::StockReserved,
            change(order("2"), 0, &[]),
            StockError::Quantity(0),
        ),
        (
            &held,
            F::StockReserved,
            change(order("2"), -1, &[]),
            StockError::Quantity(-1),
        ),
        (
            &held,
            F::StockReserved,
            change(adjustment("2"), 1, &[]),
            StockError::Unknown,
        ),
        (
            &held,
            F::StockAdjusted,
            change(order("2"), 1, &[]),
            StockError::Unknown,
        ),
        (
            &held,
            F::StockAdjusted,
            change(adjustment("x"), -4, &[]),
            StockError::Short(-4),
        ),
        (
            &held,
            F::StockAdjusted,
            change(adjustment("x"), i64::MIN, &[]),
            StockError::Short(i64::MIN),
        ),
        (
            &held,
            F::StockAdjusted,
            change(adjustment("x"), i64::MAX, &[]),
            StockError::Short(i64::MAX),
        ),
        (
            &held,
            F::StockReleased,
            change(order("1"), 3, &[]),
            StockError::Short(3),
        ),
        (&released, F::StockReleased, change(order("1"), 2, &[]), taken()),
        (&released, F::StockShipped, change(order("1"), 2, &[]), taken()),
        (&held, F::StockWithdrawn, change(order("2"), 2, &[]), missing("2")),
        (
            &held,
            F::StockWithdrawn,
            change(order("1"), 1, &[]),
            StockError::Quantity(1),
        ),
        (&held, F::StockFenced, change(order("1"), 2, &[]), taken()),
        (
            &held,
            F::StockFenced,
            change(order("2"), 2, &[(Move::Hold, "3", false)]),
            missing("3"),
        ),
        (
            &released,
            F::StockFenced,
            change(order("2"), 2, &[(Move::Release, "1", true)]),
            StockError::Decided("held"),
        ),
    ] {
        assert_eq!(
            Product::after(Some(before), fact, &change),
            Err(why),
            "{fact:?} {change:?}"
        );
    }
}

#[test]
fn entries_of_others_leave_with_any_event() {
    let before = product(
        [3, 5, 0],
        &[
            (Move::Hold, "1", 2),
            (Move::Hold, "2", 3),
            (Move::Adjust, "x", -1),
        ],
    );
    let settled = [
        (Move::Hold, "1", false),
        (Move::Hold, "2", true),
        (Move::Adjust, "x", true),
    ];
    let change = change(order("3"), 1, &settled);
    let after = Product::after(Some(&before), ProductFact::StockReserved, &change).unwrap();
    assert_eq!(
        after,
        product([3 - 1 + 3 + 1, 5 + 1 - 3, 0], &[(Move::Hold, "3", 1)])
    );
}

#[test]
fn the_shape_on_the_wire() {
    let settled = [(Move::Hold, "ORD-0", false), (Move::Hold, "ORD-2", true)];
    let change = change(order("ORD-1"), 2, &settled);
    let text = concat!(
        r#"{"sku":"A","orderId":"ORD-1","quantity":2,"settled":[{"kind":"hold","id":"ORD-0"},"#,
        r#"{"kind":"hold","id":"ORD-2","withdrawn":true}]}"#
    );
    assert_eq!(serde_json::to_string(&change).unwrap(), text);
    assert_eq!(serde_json::from_str::<StockChange>(text).unwrap(), change);
    let state = product([3, 2, 0], &[(Move::Hold, "ORD-1", 2)]);
    let text =
        r#"{"onHand":3,"reserved":2,"shipped":0,"inFlight":[{"kind":"hold","id":"ORD-1","quantity":2}]}"#;
    assert_eq!(serde_json::to_string(&state).unwrap(), text);
    assert_eq!(serde_json::from_str::<Product>(text).unwrap(), state);
    let refused = Reservation {
        status: ReservationStatus::Refused,
        items: items(),
        short: Some(token("A")),
        more: More::default(),
    };
    let text = r#"{"status":"refused","items":{"A":2},"short":"A"}"#;
    assert_eq!(serde_json::to_string(&refused).unwrap(), text);
    assert_eq!(serde_json::from_str::<Reservation>(text).unwrap(), refused);
}

#[test]
fn an_event_is_folded_for_its_own_entity_only() {
    let fold = |event_type: &str, payload: &str, id: &str| {
        let payload: Payload = serde_json::from_str(payload).unwrap();
        let id_of_event = EventId::derived("stock", id, event_type);
        let event = Event::<()>::new(id_of_event, token(event_type), Timestamp::EPOCH, payload);
        Product::evolve(Some(&product([5, 0, 0], &[])), &event, &token(id))
    };
    let payload = r#"{"sku":"A","orderId":"ORD-1","quantity":2,"more":"later"}"#;
    let after = fold("StockReserved", payload, "A").unwrap();
    assert_eq!(after, product([3, 2, 0], &[(Move::Hold, "ORD-1", 2)]));
    for (event_type, payload, id) in [
        ("StockReserved", payload, "B"),
        ("StockEaten", payload, "A"),
        ("StockReserved", r#"{"sku":"A","quantity":2}"#, "A"),
    ] {
        fold(event_type, payload, id).unwrap_err();
    }
}

proptest! {
    /// A move takes exactly what it says from where it says and puts it where it says, or it cannot follow
    /// because a number would leave its range.
    #[test]
    fn moves_neither_make_nor_lose_units(
        numbers in prop::array::uniform3(prop_oneof![0..50_u64, 0..=Product::MAX / 3]),
        which in 0..4_usize,
        quantity in prop_oneof![-20..60_i64, 1..20_000_i64, any::<i64>()],
    ) {
        let (fact, signs) = [
            (ProductFact::StockReserved, [-1, 1, 0]),
            (ProductFact::StockReleased, [1, -1, 0]),
            (ProductFact::StockShipped, [0, -1, 1]),
            (ProductFact::StockAdjusted, [1, 0, 0]),
        ][which];
        let cause = if which == 3 { adjustment("x") } else { order("1") };
        let before = product(numbers, &[]);
        let wanted: Vec<_> =
            numbers.iter().zip(signs).map(|(n, sign)| i128::from(*n) + sign * i128::from(quantity)).collect();
        let legal = (which == 3 || quantity >= 1)
            && wanted.iter().all(|n| *n >= 0)
            && wanted.iter().sum::<i128>() <= i128::from(Product::MAX);
        match Product::after(Some(&before), fact, &change(cause, quantity, &[])) {
            Ok(after) => {
                let numbers = [after.on_hand, after.reserved, after.shipped].map(i128::from);
                prop_assert!(legal && numbers[..] == wanted[..], "{after:?}");
                prop_assert_eq!(after.in_flight.len(), 1);
            }
            Err(why) => prop_assert!(!legal, "{why}"),
        }
    }
}
