//! The transition table of a step's worker, row by row, and the stories behind it.

use saga::{
    Status::{self, Cancelled, Compensating, Completed, Running},
    StepAction::{self, Nothing, Run, Settle, Undo},
    StepStatus::{self, Done, Open, Refused, Undone, Waiting},
};

use crate::given::{any_state, given, given_of, pair};

/// Saga, step; then for a step on which nothing active depends and one on which something does: what the event
/// that opened the step makes its worker do, and what any other event does.
type Row = (Status, StepStatus, [StepAction; 2], [StepAction; 2]);

#[rustfmt::skip]
const TABLE: [Row; 20] = [
    //                      nothing builds on it   something builds on it
    //                      opener    other        opener    other
    (Running,      Waiting, [Nothing, Nothing],    [Nothing, Nothing]),
    (Running,      Open,    [Run,     Nothing],    [Run,     Nothing]),
    (Running,      Done,    [Nothing, Nothing],    [Nothing, Nothing]),
    (Running,      Refused, [Nothing, Nothing],    [Nothing, Nothing]),
    (Running,      Undone,  [Nothing, Nothing],    [Nothing, Nothing]),
    (Compensating, Waiting, [Nothing, Nothing],    [Nothing, Nothing]),
    (Compensating, Open,    [Settle,  Settle],     [Settle,  Settle]),
    (Compensating, Done,    [Undo,    Undo],       [Nothing, Nothing]),
    (Compensating, Refused, [Nothing, Nothing],    [Nothing, Nothing]),
    (Compensating, Undone,  [Nothing, Nothing],    [Nothing, Nothing]),
    (Completed,    Waiting, [Nothing, Nothing],    [Nothing, Nothing]),
    (Completed,    Open,    [Nothing, Nothing],    [Nothing, Nothing]),
    (Completed,    Done,    [Nothing, Nothing],    [Nothing, Nothing]),
    (Completed,    Refused, [Nothing, Nothing],    [Nothing, Nothing]),
    (Completed,    Undone,  [Nothing, Nothing],    [Nothing, Nothing]),
    (Cancelled,    Waiting, [Nothing, Nothing],    [Nothing, Nothing]),
    (Cancelled,    Open,    [Nothing, Nothing],    [Nothing, Nothing]),
    (Cancelled,    Done,    [Nothing, Nothing],    [Nothing, Nothing]),
    (Cancelled,    Refused, [Nothing, Nothing],    [Nothing, Nothing]),
    (Cancelled,    Undone,  [Nothing, Nothing],    [Nothing, Nothing]),
];

#[test]
fn every_row_of_the_table() {
    for (saga, step, quiet, active) in TABLE {
        for dependent in [Waiting, Refused, Undone, Open, Done] {
            let expected = if matches!(dependent, Open | Done) {
                active
            } else {
                quiet
            };
            let given = any_state(saga, step, dependent);
            let answers = ["Started", "SomethingElse"].map(|trigger| given.worker("first", trigger));
            assert_eq!(answers, expected, "{}", given.shows());
        }
    }
}

#[test]
fn a_step_without_an_undo_is_never_undone() {
    let mut spec = pair();
    spec.steps[1].undone = None;
    let mut given = given_of(&spec, &["Started", "FirstDone"]);
    given.state.status = Compensating;
    given.state.steps.get_mut("second").unwrap().status = Done;
    assert_eq!(given.worker("second", "FirstDone"), Nothing);
}

#[test]
fn a_step_that_the_state_does_not_know_waits() {
    for saga in [Running, Compensating, Completed, Cancelled] {
        let mut given = any_state(saga, Open, Open);
        given.state.steps.remove("first");
        assert_eq!(given.worker("first", "Started"), Nothing, "{saga}");
    }
}

#[test]
fn the_start_runs_what_waits_for_nothing_else() {
    let begun = given(&["OrderCreated"]);
    assert_eq!(begun.worker("payment", "OrderCreated"), Run);
    assert_eq!(begun.worker("inventory", "OrderCreated"), Run);
    assert_eq!(begun.worker("shipping", "OrderCreated"), Nothing);
}

#[test]
fn a_join_fires_once_by_the_event_that_completes_it() {
    for (first, last) in [
        ("PaymentProcessed", "InventoryReserved"),
        ("InventoryReserved", "PaymentProcessed"),
    ] {
        let half = given(&["OrderCreated", first]);
        assert_eq!(half.worker("shipping", first), Nothing);
        let joined = half.after(last).unwrap();
        assert_eq!(joined.worker("shipping", first), Nothing);
        assert_eq!(joined.worker("shipping", last), Run);
    }
}

#[test]
fn what_is_recorded_is_not_run_again() {
    let paid = given(&["OrderCreated", "PaymentProcessed"]);
    assert_eq!(paid.worker("payment", "OrderCreated"), Nothing);
    assert_eq!(paid.worker("inventory", "OrderCreated"), Run);
}

#[test]
fn a_turn_settles_what_is_open_and_undoes_what_is_done() {
    for turn in ["OrderTimedOut", "OrderCancellationRequested", "OutOfStock"] {
        let turned = given(&["OrderCreated", "PaymentProcessed", turn]);
        assert_eq!(turned.worker("payment", turn), Undo, "{turn}");
    }
    let turned = given(&["OrderCreated", "PaymentProcessed", "OrderTimedOut"]);
    assert_eq!(turned.worker("inventory", "OrderTimedOut"), Settle);
    assert_eq!(
        turned.worker("inventory", "OrderCreated"),
        Settle,
        "whatever the trigger"
    );
    assert_eq!(turned.worker("shipping", "PaymentProcessed"), Nothing);
}

#[test]
fn a_done_that_comes_late_is_undone() {
    let late = given(&["OrderCreated", "OutOfStock", "PaymentProcessed"]);
    assert_eq!(late.worker("payment", "OrderCreated"), Undo);
    let refunded = late.after("PaymentRefunded").unwrap();
    assert_eq!(refunded.worker("payment", "OrderCreated"), Nothing);
}

#[test]
fn a_pivot_that_refuses_has_both_sides_undone() {
    let refused = given(&[
        "OrderCreated",
        "PaymentProcessed",
        "InventoryReserved",
        "ShippingFailed",
    ]);
    assert_eq!(refused.worker("payment", "ShippingFailed"), Undo);
    assert_eq!(refused.worker("inventory", "ShippingFailed"), Undo);
    assert_eq!(refused.worker("shipping", "InventoryReserved"), Nothing);
}

#[test]
fn dependents_are_undone_first() {
    let turned = given_of(&pair(), &["Started", "FirstDone", "SecondDone"]);
    assert_eq!(turned.shows(), "completed: first done, second done");
    let mut spec = pair();
    spec.steps.push(crate::given::step(
        "third",
        &["SecondDone"],
        ["3Done", "3Refused", "3Undone"],
    ));
    let turned = given_of(&spec, &["Started", "FirstDone", "SecondDone", "3Refused"]);
    assert_eq!(turned.worker("first", "3Refused"), Nothing);
    assert_eq!(turned.worker("second", "3Refused"), Undo);
    let undone = turned.after("SecondUndone").unwrap();
    assert_eq!(undone.worker("first", "SecondUndone"), Undo);
}

#[test]
fn nothing_follows_the_end() {
    let completed = given(&[
        "OrderCreated",
        "PaymentProcessed",
        "InventoryReserved",
        "OrderShipped",
    ]);
    let cancelled = given(&["OrderCreated", "PaymentFailed", "OutOfStock", "OrderCancelled"]);
    for over in [completed, cancelled] {
        for step in ["payment", "inventory", "shipping"] {
            for trigger in [
                "OrderCreated",
                "PaymentProcessed",
                "InventoryReserved",
                "PaymentFailed",
            ] {
                assert_eq!(over.worker(step, trigger), Nothing, "{}", over.shows());
            }
        }
    }
}
