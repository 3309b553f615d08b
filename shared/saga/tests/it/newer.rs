//! What newer code wrote is carried on by older code.

use std::collections::HashSet;

use saga::{Direction, More, Payload, State};
use serde_json::value::RawValue;

use crate::given::{Given, given, stuck};

/// What no float and no integer of this code could hold.
const NEWER: &str = r#"{"weight":1.50,"big":123456789012345678901234567890,"list":[1.0,null]}"#;

fn text(state: &State) -> String {
    serde_json::to_string(state).unwrap()
}

/// The saga as newer code would have written it: with a field more in every object that has a name of its own.
fn by_newer_code(before: &Given) -> Given {
    let mut state = before.state.clone();
    let newer = || Payload::of(&RawValue::from_string(NEWER.to_owned()).unwrap()).unwrap();
    let mut places = vec![&mut state.more, &mut state.start.more];
    places.extend(state.turned.as_mut().map(|turn| &mut turn.more));
    for step in state.steps.values_mut() {
        places.push(&mut step.more);
        let outcomes = [&mut step.done, &mut step.refused, &mut step.undone];
        places.extend(outcomes.into_iter().flatten().map(|outcome| &mut outcome.more));
        places.extend(step.stuck.as_mut().map(|stuck| &mut stuck.more));
    }
    for more in places {
        more.insert("newer", newer());
    }
    Given {
        plan: before.plan.clone(),
        state: serde_json::from_str(&text(&state)).unwrap(),
    }
}

fn times(state: &State) -> usize {
    text(state).matches(&format!(r#""newer":{NEWER}"#)).count()
}

#[test]
fn a_state_without_more_is_written_as_ever() {
    let wrote = text(&given(&["OrderCreated", "PaymentProcessed"]).state);
    assert!(wrote.starts_with(r#"{"saga":"checkout","id":"ORD-1","status":"running","events":2,"firstSequence":107,"start":{"eventId":"#), "{wrote}");
    assert!(wrote.contains(r#""shipping":{"status":"waiting"}"#), "{wrote}");
    assert!(!wrote.contains("more") && !wrote.contains("null"), "{wrote}");
    assert_eq!(text(&serde_json::from_str(&wrote).unwrap()), wrote);
}

#[test]
fn every_event_carries_on_what_newer_code_wrote_to_the_digit() {
    let stopped = given(&["OrderCreated", "PaymentProcessed", "OutOfStock"]);
    let slow = stopped
        .after_event(&stuck("payment", Direction::Undo, 4))
        .unwrap();
    let newer = by_newer_code(&slow);
    assert_eq!(times(&newer.state), 2 + 1 + 3 + 2 + 1, "{}", text(&newer.state));
    let refunded = newer.after("PaymentRefunded").unwrap();
    assert_eq!(
        times(&refunded.state),
        times(&newer.state) - 1,
        "it is not stuck any more"
    );
    let ended = refunded.after("OrderCancelled").unwrap();
    assert_eq!(times(&ended.state), times(&refunded.state));

    let running = by_newer_code(&given(&["OrderCreated"]));
    assert_eq!(times(&running.state), 2 + 3);
    let completed = ["PaymentProcessed", "InventoryReserved", "OrderShipped"];
    let completed = completed
        .iter()
        .fold(running.clone(), |saga, event| saga.after(event).unwrap());
    assert_eq!(times(&completed.state), times(&running.state));
}

#[test]
fn newer_code_may_have_put_in_more_but_may_not_have_left_anything_out() {
    let plain = given(&["OrderCreated", "PaymentProcessed"]);
    let newer = by_newer_code(&plain);
    assert!(plain.state.extends(&plain.state));
    assert!(newer.state.extends(&plain.state) && newer.state != plain.state);
    assert!(!plain.state.extends(&newer.state), "fields were lost");
    let mut less = newer.clone();
    less.state
        .steps
        .get_mut("payment")
        .unwrap()
        .done
        .as_mut()
        .unwrap()
        .more = More::default();
    assert!(
        !less.state.extends(&newer.state),
        "a field of an outcome was lost"
    );
    let mut other = newer;
    other.state.events += 1;
    assert!(!other.state.extends(&plain.state));
}

/// Equal is what is written alike, and the hash agrees with it.
#[test]
fn what_is_equal_has_one_hash() {
    let more = |text: &str| {
        let mut more = More::default();
        more.insert("newer", serde_json::from_str(text).unwrap());
        more
    };
    let all: HashSet<More> = ["1.5", "1.50", "15e-1", "1.50"].map(more).into();
    assert_eq!(all.len(), 3);
    assert!(all.contains(&more("1.50")) && !all.contains(&More::default()));
}

#[test]
fn a_field_that_comes_twice_or_is_missing_is_refused() {
    let wrote = text(&given(&["OrderCreated"]).state);
    let twice = wrote.replacen('{', r#"{"events":1,"#, 1);
    let error = serde_json::from_str::<State>(&twice).unwrap_err().to_string();
    assert!(error.contains("duplicate field `events`"), "{error}");
    let less = wrote.replacen(r#""events":1,"#, "", 1);
    let error = serde_json::from_str::<State>(&less).unwrap_err().to_string();
    assert!(error.contains("missing field `events`"), "{error}");
}
