//! What is left to do, and what could not be done: I10 and I11.

use checkout::books::Invariant;
use serde_json::json;

use super::all_found;

#[test]
fn i10_nothing_is_left_to_do() {
    use Invariant::I10;
    all_found(&[
        (
            |run| run.consumers[0]["pending"] = json!(2),
            I10,
            "consumer checkout-payment on EVENTS",
            "2 messages",
        ),
        (
            |run| run.consumers[0]["ackPending"] = json!(1),
            I10,
            "consumer checkout-payment on EVENTS",
            "1 are not",
        ),
        (
            |run| {
                run.schedules
                    .push(json!({"stream": "RETRY", "subject": "retry.checkout.payment.SHIP.3"}))
            },
            I10,
            "checkout.SHIP",
            "1 retries are still scheduled",
        ),
        (
            |run| {
                run.place("LATE", "A", 1);
            },
            I10,
            "checkout.LATE",
            "nothing is pending",
        ),
        (
            |run| {
                run.place("LATE", "A", 1);
                run.schedules.pop();
            },
            I10,
            "checkout.LATE",
            "no timer stands for its deadline 2026-01-01T00:15:00Z",
        ),
    ]);
}

#[test]
fn i11_nothing_is_a_letter_that_was_no_fault() {
    use Invariant::I11;
    all_found(&[
        (
            |run| run.letters[0]["reason"] = json!(""),
            I11,
            "letters",
            "names no reason",
        ),
        (
            |run| run.letters[0]["detail"] = json!(""),
            I11,
            "letters",
            "names no reason",
        ),
        (
            |run| run.history.last_mut().unwrap()["expected"] = json!("good"),
            I11,
            "checkout.BAD",
            "was no fault that anybody made",
        ),
        (
            |run| run.letters[0]["body"] = json!("junk"),
            I11,
            "letters",
            "was no fault that anybody made",
        ),
    ]);
}
