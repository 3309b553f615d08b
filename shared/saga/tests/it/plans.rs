//! What is a plan and what is none.

use saga::{Dependency, Plan, PlanSpec, StepIx, mermaid};

use crate::{
    given::{checkout, pair, step},
    inputs::Trip,
};

fn refusal(change: impl FnOnce(&mut PlanSpec)) -> String {
    let mut spec = checkout();
    change(&mut spec);
    Plan::compile(&spec).unwrap_err().to_string()
}

#[test]
fn a_saga_has_steps() {
    assert_eq!(
        refusal(|s| s.steps.clear()),
        r#"saga "checkout" has no steps; it takes at least one"#
    );
}

#[test]
fn every_name_is_a_token() {
    let bad = |word: &str| {
        format!(
            "saga \"checkout\": identifier {word:?} holds '.'; it takes 1 to 64 characters of A-Z a-z 0-9 _ -"
        )
    };
    assert_eq!(refusal(|s| s.start = "a.b".into()), bad("a.b"));
    assert_eq!(refusal(|s| s.timed_out = "a.b".into()), bad("a.b"));
    assert_eq!(refusal(|s| s.cancellation_requested = "a.b".into()), bad("a.b"));
    assert_eq!(refusal(|s| s.cancelled = "a.b".into()), bad("a.b"));
    assert_eq!(refusal(|s| s.steps[0].name = "a.b".into()), bad("a.b"));
    assert_eq!(refusal(|s| s.steps[1].done = "a.b".into()), bad("a.b"));
    assert_eq!(refusal(|s| s.steps[2].refused = "a.b".into()), bad("a.b"));
    assert_eq!(refusal(|s| s.steps[0].undone = Some("a.b".into())), bad("a.b"));
    assert_eq!(
        refusal(|s| s.saga = String::new()),
        "saga \"\": an identifier is empty; it takes 1 to 64 characters of A-Z a-z 0-9 _ -"
    );
}

#[test]
fn a_step_has_a_name_of_its_own() {
    assert_eq!(
        refusal(|s| s.steps[1].name = "payment".into()),
        r#"saga "checkout" has two steps named "payment"; each needs a name of its own"#
    );
}

#[test]
fn a_fact_has_a_type_of_its_own() {
    let twice = |event: &str| {
        format!("saga \"checkout\" uses the event type {event:?} twice; each fact needs a type of its own")
    };
    assert_eq!(
        refusal(|s| s.steps[1].done = "PaymentProcessed".into()),
        twice("PaymentProcessed")
    );
    assert_eq!(
        refusal(|s| s.steps[1].refused = "OrderCreated".into()),
        twice("OrderCreated")
    );
    assert_eq!(
        refusal(|s| s.steps[1].undone = Some("OrderCancelled".into())),
        twice("OrderCancelled")
    );
    assert_eq!(
        refusal(|s| s.timed_out = "OrderCancelled".into()),
        twice("OrderCancelled")
    );
    assert_eq!(
        refusal(|s| s.steps[2].done = "StepStuck".into()),
        twice("StepStuck")
    );
}

#[test]
fn a_step_waits_for_what_somebody_produces() {
    let unproduced = |event: &str| {
        format!(
            "saga \"checkout\": step \"shipping\" waits for {event:?}, which is neither the start event nor the \
             success of a step; it takes one of OrderCreated, PaymentProcessed, InventoryReserved, OrderShipped"
        )
    };
    for event in [
        "PaymentProcesed",
        "PaymentFailed",
        "PaymentRefunded",
        "OrderTimedOut",
        "StepStuck",
    ] {
        assert_eq!(refusal(|s| s.steps[2].after[1] = event.into()), unproduced(event));
    }
}

#[test]
fn a_step_waits_for_something() {
    assert_eq!(
        refusal(|s| s.steps[0].after.clear()),
        r#"saga "checkout": step "payment" waits for nothing; name the start event if it comes first"#
    );
}

#[test]
fn nothing_waits_for_itself() {
    let cycle = |steps: &str| {
        format!("saga \"checkout\": the steps {steps} wait for each other; one of them has to come first")
    };
    assert_eq!(
        refusal(|s| s.steps[0].after = vec!["PaymentProcessed".into()]),
        cycle("payment")
    );
    assert_eq!(
        refusal(|s| s.steps[1].after.push("OrderShipped".into())),
        cycle("inventory, shipping"),
        "payment comes before the cycle and is not on it"
    );
}

#[test]
fn a_pivot_comes_after_all_others() {
    let pivot = |pivot: &str, other: &str| {
        format!(
            "saga \"checkout\": step \"{pivot}\" cannot be undone, so every other step must come before it, but \
             {other:?} does not; make {pivot:?} wait for {other:?}, or give it an undo"
        )
    };
    assert_eq!(
        refusal(|s| s.steps[2].after = vec!["PaymentProcessed".into()]),
        pivot("shipping", "inventory")
    );
    assert_eq!(
        refusal(|s| s.steps[0].undone = None),
        pivot("payment", "inventory"),
        "two pivots are none"
    );
}

#[test]
fn a_pivot_may_wait_for_the_others_indirectly() {
    let mut spec = pair();
    spec.steps
        .push(step("last", &["SecondDone"], ["LastDone", "LastRefused", ""]));
    let plan = Plan::compile(&spec).unwrap();
    assert_eq!(plan.pivot(), Some(StepIx(2)));
    assert_eq!(Plan::compile(&pair()).unwrap().pivot(), None);
}

#[test]
fn a_dependency_named_twice_is_one() {
    let mut spec = pair();
    spec.steps[1].after.push("FirstDone".into());
    let plan = Plan::compile(&spec).unwrap();
    assert_eq!(plan.step(StepIx(1)).after, [Dependency::Step(StepIx(0))]);
    assert_eq!(plan.step(StepIx(0)).dependents, [StepIx(1)]);
}

#[test]
fn types_say_the_same_as_a_list() {
    let typed = PlanSpec::of::<Trip>();
    let listed = PlanSpec {
        saga: "trip".into(),
        version: 2,
        start: "TripOrdered".into(),
        steps: vec![
            step(
                "hotel",
                &["TripOrdered"],
                ["HotelBooked", "HotelFull", "HotelReleased"],
            ),
            step(
                "ticket",
                &["TripOrdered", "HotelBooked"],
                ["TicketSold", "TicketRefused", ""],
            ),
        ],
        timed_out: "TripTimedOut".into(),
        cancellation_requested: "TripCancellationRequested".into(),
        cancelled: "TripCancelled".into(),
        id_field: "id".into(),
    };
    assert_eq!(typed, listed);
    let plan = Plan::of::<Trip>().unwrap();
    assert_eq!(
        (plan.saga.as_str(), plan.version, plan.pivot()),
        ("trip", 2, Some(StepIx(1)))
    );
    assert_eq!(plan.id_field, "id");
}

#[test]
fn the_checkout_as_a_picture() {
    let plan = Plan::compile(&checkout()).unwrap();
    assert_eq!(
        format!("\n{}", mermaid(&plan)),
        "
flowchart LR
    start([OrderCreated])
    s0[payment]
    s1[inventory]
    s2{{shipping}}
    start --> s0
    start --> s1
    start --> s2
    s0 -->|PaymentProcessed| s2
    s1 -->|InventoryReserved| s2
    s2 -->|OrderShipped| completed([completed])
    s0 -.->|PaymentFailed| compensating
    compensating -.->|PaymentRefunded| s0
    s1 -.->|OutOfStock| compensating
    compensating -.->|InventoryReleased| s1
    s2 -.->|ShippingFailed| compensating
    compensating -->|OrderCancelled| cancelled([cancelled])
"
    );
}
