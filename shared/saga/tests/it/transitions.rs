//! What each event leaves in the state.

use saga::{Event, EventId, StepStatus, Timestamp};

use crate::given::{event, event_id, given, sequence, token};

#[test]
fn the_way_to_completion() {
    let mut saga = given(&["OrderCreated"]);
    assert_eq!(
        saga.shows(),
        "running: payment open, inventory open, shipping waiting"
    );
    for (event, shows) in [
        (
            "InventoryReserved",
            "running: payment open, inventory done, shipping waiting",
        ),
        (
            "PaymentProcessed",
            "running: payment done, inventory done, shipping open",
        ),
        (
            "OrderShipped",
            "completed: payment done, inventory done, shipping done",
        ),
    ] {
        saga = saga.after(event).unwrap();
        assert_eq!(saga.shows(), shows);
    }
    assert_eq!(saga.state.turned, None);
}

#[test]
fn the_way_back() {
    let mut saga = given(&["OrderCreated", "PaymentProcessed", "InventoryReserved"]);
    for (event, shows) in [
        (
            "ShippingFailed",
            "compensating: payment done, inventory done, shipping refused",
        ),
        (
            "InventoryReleased",
            "compensating: payment done, inventory undone, shipping refused",
        ),
        (
            "PaymentRefunded",
            "compensating: payment undone, inventory undone, shipping refused",
        ),
        (
            "OrderCancelled",
            "cancelled: payment undone, inventory undone, shipping refused",
        ),
    ] {
        saga = saga.after(event).unwrap();
        assert_eq!(saga.shows(), shows);
    }
}

#[test]
fn a_step_names_the_event_that_opened_it() {
    let saga = given(&["OrderCreated", "InventoryReserved", "PaymentProcessed"]);
    let opened = |step: &str| (saga.state.steps[step].opened_by, saga.state.steps[step].opened_at);
    let by = |name: &str, n| (Some(event_id(name)), Some(event(name, n).timestamp));
    assert_eq!(opened("payment"), by("OrderCreated", 1));
    assert_eq!(opened("inventory"), by("OrderCreated", 1));
    assert_eq!(opened("shipping"), by("PaymentProcessed", 3));
}

#[test]
fn events_are_counted_and_the_second_one_tells_the_first_ones_sequence() {
    let history = [
        "OrderCreated",
        "PaymentProcessed",
        "OutOfStock",
        "PaymentRefunded",
        "OrderCancelled",
    ];
    for n in 1..=history.len() {
        let state = given(&history[..n]).state;
        assert_eq!(state.events, n as u64);
        assert_eq!(state.first_sequence, if n == 1 { 0 } else { sequence(1) });
    }
}

#[test]
fn the_start_is_kept() {
    let begun = given(&["OrderCreated"]);
    let start = &begun.state.start;
    assert_eq!(start.event_id, event_id("OrderCreated"));
    assert_eq!(start.at, event("OrderCreated", 1).timestamp);
    assert_eq!(start.payload.text(), r#"{"by":"OrderCreated"}"#);
    assert_eq!(start.deadline, None);
    let until = Timestamp::EPOCH.after(std::time::Duration::from_secs(900));
    let first = Event {
        deadline: Some(until),
        ..event("OrderCreated", 1)
    };
    let state = saga::evolve(&begun.plan, None, &first, &token("ORD-2"), 0).unwrap();
    assert_eq!((state.start.deadline, state.id), (Some(until), token("ORD-2")));
}

#[test]
fn an_outcome_keeps_its_cause_its_attempts_and_what_others_read() {
    let paid = Event {
        causation_id: Some(event_id("OrderCreated")),
        attempt: Some(3),
        ..event("PaymentProcessed", 2)
    };
    let saga = given(&["OrderCreated"]).after_event(&paid).unwrap();
    let done = saga.state.steps["payment"].done.clone().unwrap();
    assert_eq!(done.event_id, event_id("PaymentProcessed"));
    assert_eq!(done.causation_id, Some(event_id("OrderCreated")));
    assert_eq!(
        (done.at, done.attempt, done.reason),
        (paid.timestamp, Some(3), None)
    );
    assert_eq!(done.payload.unwrap().text(), r#"{"by":"PaymentProcessed"}"#);

    let undone = saga
        .after("OrderTimedOut")
        .unwrap()
        .after("PaymentRefunded")
        .unwrap();
    let step = &undone.state.steps["payment"];
    assert_eq!(step.status, StepStatus::Undone);
    assert_eq!(
        step.done, saga.state.steps["payment"].done,
        "what is undone was done"
    );
    assert_eq!(
        step.undone.as_ref().map(|u| u.event_id),
        Some(event_id("PaymentRefunded"))
    );
    assert_eq!(step.undone.as_ref().and_then(|u| u.payload.clone()), None);
}

#[test]
fn the_first_turn_gives_the_reason_and_keeps_it() {
    let declined = Event {
        reason: Some("card declined".into()),
        ..event("PaymentFailed", 2)
    };
    let turned = given(&["OrderCreated"]).after_event(&declined).unwrap();
    let turn = turned.state.turned.clone().unwrap();
    assert_eq!(
        (turn.event_id, turn.event_type),
        (event_id("PaymentFailed"), token("PaymentFailed"))
    );
    assert_eq!(turn.reason, "card declined");
    let refused = turned.state.steps["payment"].refused.clone().unwrap();
    assert_eq!(
        (refused.reason.as_deref(), refused.payload),
        (Some("card declined"), None)
    );

    let second = Event {
        reason: Some("sold out".into()),
        ..event("OutOfStock", 3)
    };
    let more = turned
        .after_event(&second)
        .unwrap()
        .after("OrderCancelled")
        .unwrap();
    assert_eq!(more.state.turned, turned.state.turned);
}

#[test]
fn a_turn_without_a_reason_is_its_own() {
    for turn in ["PaymentFailed", "OrderTimedOut", "OrderCancellationRequested"] {
        let turned = given(&["OrderCreated", turn]).state.turned.unwrap();
        assert_eq!((turned.event_type, turned.reason), (token(turn), turn.to_owned()));
    }
}

#[test]
fn the_same_fact_has_the_same_state_whoever_records_it() {
    let one = given(&["OrderCreated", "PaymentProcessed"]).state;
    let other = given(&["OrderCreated", "PaymentProcessed"]).state;
    let text = |state| serde_json::to_string(state).unwrap();
    assert_eq!(text(&one), text(&other));
    assert_eq!(serde_json::from_str::<saga::State>(&text(&one)).unwrap(), one);
    assert_eq!(
        one.start.event_id,
        EventId::derived("checkout", "ORD-1", "OrderCreated")
    );
}

/// The whole state as it travels, so that nobody changes its shape without noticing.
#[test]
fn the_state_on_the_wire() {
    let state = given(&["OrderCreated", "PaymentFailed"]).state;
    let mut json = serde_json::to_value(&state).unwrap().to_string();
    for name in ["OrderCreated", "PaymentFailed"] {
        json = json.replace(&event_id(name).to_string(), name);
    }
    let expected = serde_json::json!({
        "saga": "checkout", "id": "ORD-1", "status": "compensating", "events": 2, "firstSequence": 107,
        "start": { "eventId": "OrderCreated", "at": "1970-01-01T00:00:01Z", "payload": { "by": "OrderCreated" } },
        "turned": { "eventId": "PaymentFailed", "eventType": "PaymentFailed", "reason": "PaymentFailed" },
        "steps": {
            "inventory": { "status": "open", "openedBy": "OrderCreated", "openedAt": "1970-01-01T00:00:01Z" },
            "payment": {
                "status": "refused", "openedBy": "OrderCreated", "openedAt": "1970-01-01T00:00:01Z",
                "refused": { "eventId": "PaymentFailed", "at": "1970-01-01T00:00:02Z" },
            },
            "shipping": { "status": "waiting" },
        },
    });
    assert_eq!(json, expected.to_string());
}
