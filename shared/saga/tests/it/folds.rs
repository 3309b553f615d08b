//! Which events may follow which states, row by row.

use saga::{
    Status::{self, Cancelled, Compensating, Completed, Running},
    StepStatus::{self, Done, Open, Refused, Undone, Waiting},
};

use crate::given::{Given, any_state, given, given_of, pair};

const STATUSES: [Status; 4] = [Running, Compensating, Completed, Cancelled];
const STEPS: [StepStatus; 5] = [Waiting, Open, Done, Refused, Undone];

/// Every state of a saga of two steps that is not over, and of those only the ones that `keep` names.
fn states(keep: impl Fn(Status, StepStatus, StepStatus) -> bool) -> Vec<Given> {
    let mut all = Vec::new();
    for saga in STATUSES {
        for first in STEPS {
            let kept = STEPS.into_iter().filter(|second| keep(saga, first, *second));
            all.extend(kept.map(|second| any_state(saga, first, second)));
        }
    }
    all
}

/// `event` can follow exactly the states that `keep` names.
fn follows_only(event: &str, keep: impl Fn(Status, StepStatus, StepStatus) -> bool) {
    let legal: Vec<String> = states(keep).iter().map(Given::shows).collect();
    let accepted: Vec<String> = states(|_, _, _| true)
        .iter()
        .filter(|given| given.after(event).is_ok())
        .map(Given::shows)
        .collect();
    assert_eq!(accepted, legal, "{event}");
}

fn goes_on(saga: Status) -> bool {
    matches!(saga, Running | Compensating)
}

#[test]
fn done_and_refused_follow_an_open_step() {
    follows_only("FirstDone", |saga, first, _| goes_on(saga) && first == Open);
    follows_only("FirstRefused", |saga, first, _| goes_on(saga) && first == Open);
    follows_only("SecondDone", |saga, _, second| goes_on(saga) && second == Open);
    follows_only("SecondRefused", |saga, _, second| goes_on(saga) && second == Open);
}

#[test]
fn undone_follows_a_done_step_of_a_compensating_saga_on_which_nothing_builds() {
    follows_only("FirstUndone", |saga, first, second| {
        saga == Compensating && first == Done && matches!(second, Waiting | Refused | Undone)
    });
    follows_only("SecondUndone", |saga, _, second| {
        saga == Compensating && second == Done
    });
}

#[test]
fn a_turn_follows_a_running_saga() {
    follows_only("TimedOut", |saga, _, _| saga == Running);
    follows_only("CancellationRequested", |saga, _, _| saga == Running);
}

#[test]
fn the_end_follows_a_compensating_saga_in_which_nothing_is_open_or_done() {
    follows_only("Cancelled", |saga, first, second| {
        saga == Compensating && ![first, second].iter().any(|s| matches!(s, Open | Done))
    });
}

#[test]
fn a_saga_begins_once() {
    follows_only("Started", |_, _, _| false);
}

/// Only what it says changes, whatever the state.
#[test]
fn an_event_changes_nothing_else() {
    for before in states(|_, _, _| true) {
        for event in ["FirstRefused", "FirstUndone", "TimedOut", "Cancelled"] {
            let Ok(after) = before.after(event) else { continue };
            assert_eq!(after.state.steps["second"], before.state.steps["second"]);
            assert_eq!(after.state.start, before.state.start);
            assert_eq!(after.state.events, before.state.events + 1);
        }
    }
}

/// Nothing opens in a compensating saga, and an event that opens nothing leaves `openedBy` alone.
#[test]
fn nothing_opens_after_the_turn() {
    let late = any_state(Compensating, Open, Waiting).after("FirstDone").unwrap();
    assert_eq!(late.shows(), "compensating: first done, second waiting");
    let last = any_state(Compensating, Done, Open).after("SecondDone").unwrap();
    assert_eq!(last.shows(), "compensating: first done, second done");
}

#[test]
fn a_refusal_says_why() {
    let begun = given(&["OrderCreated"]);
    for (event, why) in [
        ("OrderCreated", "the saga has begun already"),
        ("OrderShipped", "step shipping is waiting"),
        ("ShippingFailed", "step shipping is waiting"),
        ("PaymentRefunded", "the saga is running"),
        ("OrderCancelled", "the saga is running"),
    ] {
        assert_eq!(begun.refusal(event), format!("{event} cannot follow: {why}"));
    }
    assert_eq!(
        begun.refusal("OrderLost"),
        "saga checkout has no event type OrderLost"
    );
    let turned = given(&["OrderCreated", "PaymentFailed"]);
    for (event, why) in [
        ("PaymentProcessed", "step payment is refused"),
        ("PaymentFailed", "step payment is refused"),
        ("PaymentRefunded", "step payment is refused"),
        ("OrderTimedOut", "the saga is compensating"),
        ("OrderCancelled", "step inventory is open"),
    ] {
        assert_eq!(turned.refusal(event), format!("{event} cannot follow: {why}"));
    }
    let shipping = given(&["OrderCreated", "PaymentProcessed", "InventoryReserved"]);
    for event in ["OrderTimedOut", "OrderCancellationRequested"] {
        let why = "the pivot is open: the saga can only go forward";
        assert_eq!(shipping.refusal(event), format!("{event} cannot follow: {why}"));
    }
    let built_on = any_state(Compensating, Done, Open);
    assert_eq!(
        built_on.refusal("FirstUndone"),
        "FirstUndone cannot follow: step second depends on it and is not undone"
    );
}

#[test]
fn the_end_refuses_everything() {
    let completed = given(&[
        "OrderCreated",
        "PaymentProcessed",
        "InventoryReserved",
        "OrderShipped",
    ]);
    let cancelled = given(&[
        "OrderCreated",
        "OrderTimedOut",
        "PaymentFailed",
        "OutOfStock",
        "OrderCancelled",
    ]);
    for over in [completed, cancelled] {
        let plan = over.plan.clone();
        for (event, _) in plan.event_types() {
            let why = format!("{event} cannot follow: the saga is {}", over.state.status);
            assert_eq!(over.refusal(event.as_str()), why);
        }
    }
}

#[test]
fn only_the_start_begins_a_saga() {
    let plan = given_of(&pair(), &["Started"]).plan;
    for (event, _) in plan.event_types().filter(|(e, _)| **e != plan.start) {
        let first = crate::given::event(event.as_str(), 1);
        let refusal = saga::evolve(&plan, None, &first, &crate::given::id(), 0).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            format!("{event} cannot follow: the saga has not begun")
        );
    }
}

#[test]
fn a_step_that_the_state_does_not_know_has_no_outcome() {
    let mut given = any_state(Running, Open, Open);
    given.state.steps.remove("second");
    assert_eq!(
        given.refusal("SecondDone"),
        "SecondDone cannot follow: step second is not in the state"
    );
}
