//! What newer code wrote into the states of stock is carried on by older code, to the digit.

#![allow(clippy::unwrap_used)] // a test

use std::{collections::BTreeSet, fmt::Debug};

use checkout::stock::{
    Adjustment, AdjustmentFact, Ledger, Named, Product, ProductFact, Reservation, ReservationFact,
};
use serde::de::DeserializeOwned;

/// What no float and no integer of this code could hold.
const NEWER: &str = r#""newer":{"weight":1.50,"big":123456789012345678901234567890,"list":[1.0,null]}"#;

/// A text in which `+` stands for what newer code wrote.
fn newer(text: &str) -> String {
    text.replace('+', &format!(",{NEWER}"))
}

fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

/// The state after `fact`, from and to JSON.
fn after<E: Ledger>(before: Option<&str>, fact: E::Fact, payload: &str) -> String {
    let before: Option<E> = before.map(read);
    let after = E::after(before.as_ref(), fact, &read::<E::Payload>(payload)).unwrap();
    serde_json::to_string(&after).unwrap()
}

const PRODUCT: &str = concat!(
    r#"{"onHand":3,"reserved":5,"shipped":0,"inFlight":[{"kind":"hold","id":"1","quantity":2+},"#,
    r#"{"kind":"hold","id":"2","quantity":3+},{"kind":"adjust","id":"x","quantity":1+}]+}"#
);
const RESERVATION: &str = r#"{"status":"held","items":{"A":2}+}"#;
const ADJUSTMENT: &str = r#"{"status":"requested","sku":"A","quantity":3+}"#;

#[test]
fn every_fact_of_a_product_carries_it_on() {
    let (first, second, adjusted) = (
        r#"{"kind":"hold","id":"1","quantity":2+}"#,
        r#"{"kind":"hold","id":"2","quantity":3+}"#,
        r#"{"kind":"adjust","id":"x","quantity":1+}"#,
    );
    let all = [first, second, adjusted].join(",");
    let settled = r#"[{"kind":"hold","id":"1"},{"kind":"adjust","id":"x"}]"#;
    let (reserved, released, shipped) = (
        r#"{"kind":"hold","id":"3","quantity":1}"#,
        r#"{"kind":"release","id":"1","quantity":2}"#,
        r#"{"kind":"ship","id":"1","quantity":2}"#,
    );
    let more = r#"{"kind":"adjust","id":"y","quantity":1}"#;
    let order = |id: &str, quantity: i64| format!(r#"{{"sku":"A","orderId":"{id}","quantity":{quantity}}}"#);
    use ProductFact as F;
    let cases = [
        (
            F::StockReserved,
            order("3", 1),
            [2, 6, 0],
            format!("{all},{reserved}"),
        ),
        (
            F::StockReserved,
            format!(r#"{{"sku":"A","orderId":"3","quantity":1,"settled":{settled}}}"#),
            [2, 6, 0],
            format!("{second},{reserved}"),
        ),
        (
            F::StockReleased,
            order("1", 2),
            [5, 3, 0],
            format!("{second},{adjusted},{released}"),
        ),
        (
            F::StockShipped,
            order("1", 2),
            [3, 3, 2],
            format!("{second},{adjusted},{shipped}"),
        ),
        (
            F::StockAdjusted,
            r#"{"sku":"A","adjustmentId":"y","quantity":1}"#.to_owned(),
            [4, 5, 0],
            format!("{all},{more}"),
        ),
        (
            F::StockWithdrawn,
            order("2", 3),
            [6, 2, 0],
            format!("{first},{adjusted}"),
        ),
        (F::StockFenced, order("9", 1), [3, 5, 0], all.clone()),
    ];
    for (fact, change, [on_hand, reserved, shipped], list) in &cases {
        let text = format!(
            r#"{{"onHand":{on_hand},"reserved":{reserved},"shipped":{shipped},"inFlight":[{list}]+}}"#
        );
        for more in [newer, |text: &str| text.replace('+', "")] {
            assert_eq!(
                after::<Product>(Some(&more(PRODUCT)), *fact, change),
                more(&text),
                "{fact:?}"
            );
        }
    }
    complete(cases.map(|(fact, ..)| fact));
}

#[test]
fn every_fact_of_a_reservation_carries_it_on() {
    use ReservationFact as F;
    let decision = r#"{"orderId":"ORD-1","items":{"A":2}}"#;
    let short = r#"{"orderId":"ORD-1","items":{"A":2},"short":"A"}"#;
    let held = newer(RESERVATION);
    let cases = [
        (F::ReservationHeld, None, decision, r#""held","items":{"A":2}"#),
        (
            F::ReservationRefused,
            None,
            short,
            r#""refused","items":{"A":2},"short":"A""#,
        ),
        (
            F::ReservationForbidden,
            None,
            decision,
            r#""forbidden","items":{"A":2}"#,
        ),
        (
            F::ReservationReleased,
            Some(&held),
            decision,
            r#""released","items":{"A":2}+"#,
        ),
        (
            F::ReservationShipped,
            Some(&held),
            decision,
            r#""shipped","items":{"A":2}+"#,
        ),
    ];
    for (fact, before, decision, text) in &cases {
        let after = after::<Reservation>(before.map(String::as_str), *fact, decision);
        assert_eq!(after, newer(&format!(r#"{{"status":{text}}}"#)), "{fact:?}");
    }
    complete(cases.map(|(fact, ..)| fact));
}

#[test]
fn every_fact_of_an_adjustment_carries_it_on() {
    use AdjustmentFact as F;
    let note = r#"{"adjustmentId":"x","sku":"A","quantity":3}"#;
    let requested = newer(ADJUSTMENT);
    let cases = [
        (
            F::AdjustmentRequested,
            None,
            r#""requested","sku":"A","quantity":3"#,
        ),
        (
            F::AdjustmentApplied,
            Some(&requested),
            r#""applied","sku":"A","quantity":3+"#,
        ),
        (
            F::AdjustmentRefused,
            Some(&requested),
            r#""refused","sku":"A","quantity":3+"#,
        ),
    ];
    for (fact, before, text) in &cases {
        let after = after::<Adjustment>(before.map(String::as_str), *fact, note);
        assert_eq!(after, newer(&format!(r#"{{"status":{text}}}"#)), "{fact:?}");
    }
    complete(cases.map(|(fact, ..)| fact));
}

/// No event type is left out.
fn complete<F: Named>(told: impl IntoIterator<Item = F>) {
    let told: BTreeSet<_> = told.into_iter().map(Named::event_type).collect();
    assert_eq!(told, F::ALL.iter().map(|fact| fact.event_type()).collect());
}

fn extends<E: Ledger>(mine: &str, folded: &str) -> bool {
    read::<E>(mine).extends(&read::<E>(folded))
}

#[test]
fn newer_code_may_have_put_in_more_but_may_not_have_left_anything_out() {
    fn judge<E: Ledger>(text: &str, differs: (&str, &str)) {
        let (plain, more) = (text.replace('+', ""), newer(text));
        assert!(extends::<E>(&plain, &plain) && extends::<E>(&more, &more));
        assert!(extends::<E>(&more, &plain), "more is accepted");
        for (place, _) in text.match_indices('+') {
            let mut one = text.to_owned();
            one.replace_range(place..=place, "-");
            let one = newer(&one).replace('-', "");
            assert!(!extends::<E>(&one, &more), "lost at {place} of {text}");
            assert!(extends::<E>(&more, &one), "more at {place} of {text}");
        }
        let other = more.replace("1.50", "1.5");
        assert!(read::<E>(&other) != read::<E>(&more), "a digit is lost");
        assert!(extends::<E>(&other, &more), "newer code may change what it wrote");
        let other = more.replacen(differs.0, differs.1, 1);
        assert!(other != more && !extends::<E>(&other, &plain), "{}", differs.1);
    }
    judge::<Product>(PRODUCT, (r#""onHand":3"#, r#""onHand":4"#));
    judge::<Product>(PRODUCT, (r#""quantity":2"#, r#""quantity":1"#));
    judge::<Reservation>(RESERVATION, ("held", "shipped"));
    judge::<Adjustment>(ADJUSTMENT, ("requested", "applied"));
}

#[test]
fn a_field_that_comes_twice_or_is_missing_and_a_list_for_an_object_are_refused() {
    fn refused<T: DeserializeOwned + Debug>(text: &str, why: &str) {
        let error = serde_json::from_str::<T>(text).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    refused::<Product>(r#"{"onHand":1,"shipped":0}"#, "missing field `reserved`");
    refused::<Product>(r#"{"onHand":1,"onHand":1}"#, "duplicate field `onHand`");
    refused::<Product>("[1,0,0]", "the fields of a Product");
    let list = r#"{"onHand":1,"reserved":0,"shipped":0,"inFlight":"#;
    refused::<Product>(
        &format!(r#"{list}[{{"kind":"hold","quantity":1}}]}}"#),
        "missing field `id`",
    );
    refused::<Product>(
        &format!(r#"{list}[["hold","1",1]]}}"#),
        "the fields of a Absorbed",
    );
    refused::<Reservation>(r#"{"status":"held"}"#, "missing field `items`");
    refused::<Adjustment>(r#"{"status":"lost"}"#, "unknown variant `lost`");
    // What an event says is not what a state carries: it ends with the event.
    assert_eq!(
        after::<Product>(
            None,
            ProductFact::StockAdjusted,
            &newer(r#"{"sku":"A","adjustmentId":"y","quantity":1+}"#)
        ),
        r#"{"onHand":1,"reserved":0,"shipped":0,"inFlight":[{"kind":"adjust","id":"y","quantity":1}]}"#
    );
}
