//! A step without progress is shown, and nothing else changes.

use saga::{Direction, STEP_STUCK};

use crate::given::{event, given, stuck, token};

#[test]
fn stuck_changes_no_step_and_goes_with_the_next_outcome() {
    for (history, outcome) in [
        (&["OrderCreated"][..], "PaymentProcessed"),
        (&["OrderCreated"], "PaymentFailed"),
        (
            &["OrderCreated", "PaymentProcessed", "OrderTimedOut"],
            "PaymentRefunded",
        ),
    ] {
        let before = given(history);
        let n = before.state.events + 1;
        let shown = before.after_event(&stuck("payment", Direction::Undo, n)).unwrap();
        assert_eq!(shown.shows(), before.shows());
        assert_eq!(shown.state.events, n);
        let (name, why) = shown.state.stuck().next().unwrap();
        assert_eq!((name, why.direction), (&token("payment"), Direction::Undo));
        assert_eq!(
            (why.since, why.reason.as_str()),
            (event(STEP_STUCK, n).timestamp, "connection refused")
        );
        assert_eq!(
            shown.after(outcome).unwrap().state.stuck().count(),
            0,
            "{outcome}"
        );
    }
}

#[test]
fn only_what_is_open_or_done_can_be_stuck() {
    let refusal = |history: &[&str], step: &str| {
        given(history)
            .after_event(&stuck(step, Direction::Forward, 9))
            .unwrap_err()
            .to_string()
    };
    let why = |text: &str| format!("StepStuck cannot follow: {text}");
    assert_eq!(
        refusal(&["OrderCreated"], "shipping"),
        why("step shipping is waiting")
    );
    assert_eq!(
        refusal(&["OrderCreated", "PaymentFailed"], "payment"),
        why("step payment is refused")
    );
    assert_eq!(
        refusal(&["OrderCreated"], "parcel"),
        why("there is no step parcel")
    );
    let undone = [
        "OrderCreated",
        "PaymentProcessed",
        "OutOfStock",
        "PaymentRefunded",
    ];
    assert_eq!(refusal(&undone, "payment"), why("step payment is undone"));
    let wrong = given(&["OrderCreated"]).refusal(STEP_STUCK);
    assert!(
        wrong.starts_with("StepStuck cannot follow: missing field `step`"),
        "{wrong}"
    );
}
