//! The books can fail: a run as it should be has no violation, and each of these corrupted ones has the one that it
//! should have.

#![allow(clippy::unwrap_used, clippy::panic)] // a test

mod accounts;
mod newer;
mod orders;
mod run;
mod scenario;
mod work;

use checkout::books::{Invariant, Report, Scope};
use run::Run;
use saga::EventId;
use serde_json::json;

#[test]
fn a_run_as_it_should_be_has_no_violation() {
    let report = Run::clean().close(Scope::REST);
    assert!(report.holds(), "{report}");
    let counts = report.counts;
    assert_eq!((counts.orders, counts.completed, counts.cancelled), (4, 1, 3));
    assert_eq!(
        (
            counts.refunded,
            counts.products,
            counts.adjustments,
            counts.letters
        ),
        (2, 2, 2, 1)
    );
    assert!(report.missing.is_empty());
    assert!(report.to_string().ends_with("everything holds"), "{report}");
}

/// What is spoilt, and the violation that has to be found: the invariant, the entity, and words of the sentence.
type Case = (fn(&mut Run), Invariant, &'static str, &'static str);

fn all_found(cases: &[Case]) {
    for (n, (spoil, invariant, entity, words)) in cases.iter().enumerate() {
        let mut run = Run::clean();
        spoil(&mut run);
        let report = run.close(Scope::REST);
        let found = report
            .of(*invariant)
            .any(|it| it.entity == *entity && it.sentence.contains(words));
        assert!(
            found,
            "case {n}, {invariant} {entity} {words:?} is not among:\n{report}"
        );
    }
}

fn append(run: &mut Run, like: (&str, &str), what: &str) {
    let mut line = run.event(like.0, like.1).clone();
    let (kind, id) = ("checkout", like.1);
    line["guard"] = json!(run.last(kind, id));
    line["sequence"] = json!(run.journal.len() + 1);
    line["subject"] = json!(format!("evt.{kind}.{what}.{id}"));
    line["body"]["eventType"] = json!(what);
    line["body"]["eventId"] = json!(EventId::derived("again", id, what));
    run.journal.push(line);
}

/// A stuck order is listed, not reported; and what is under way is no violation while the system runs.
#[test]
fn what_is_stuck_or_under_way_is_listed() {
    let mut run = Run::clean();
    run.place("OPEN", "A", 1);
    let settled = run.journal.len() as u64;
    let running = Scope {
        at_rest: false,
        settled,
        at: None,
    };
    run.consumers[0]["ackPending"] = json!(1);
    let report = run.close(running);
    assert!(report.holds(), "{report}");
    assert_eq!((report.counts.open, report.open[0].stranded), (1, false));

    let guard = run.last("checkout", "OPEN");
    let stuck = json!({"step": "payment", "direction": "forward", "reason": "no answer"});
    let mut line = run.event("OrderCreated", "OPEN").clone();
    (line["guard"], line["sequence"]) = (json!(guard), json!(settled + 1));
    line["subject"] = json!("evt.checkout.StepStuck.OPEN");
    line["body"]["eventType"] = json!("StepStuck");
    line["body"]["eventId"] = json!(EventId::derived("checkout", "OPEN", "payment.stuck.forward"));
    line["body"]["payload"] = stuck.clone();
    line["body"]["state"]["events"] = json!(2);
    line["body"]["state"]["firstSequence"] = json!(guard);
    line["body"]["state"]["steps"]["payment"]["stuck"] =
        json!({"direction": "forward", "since": line["body"]["timestamp"], "reason": "no answer"});
    run.journal.push(line);
    run.consumers[0]["ackPending"] = json!(0);
    run.schedules
        .push(json!({"stream": "RETRY", "subject": "retry.checkout.payment.OPEN.3"}));
    let report = run.close(Scope::REST);
    assert!(report.holds(), "{report}");
    assert_eq!((report.counts.stuck, report.open[0].stuck), (1, true));
}

/// An account that was not taken is not compared, and the report says so.
#[test]
fn what_is_missing_is_said() {
    let report = checkout::books::Books::new(Scope::REST).unwrap().close();
    assert!(report.holds());
    assert_eq!(report.missing.len(), 7);
    assert!(
        report
            .to_string()
            .contains("not compared       journal.jsonl, bucket.jsonl"),
        "{report}"
    );
}

#[test]
fn a_violation_tells_the_story_of_its_order() {
    let mut run = Run::clean();
    run.ledger[0]["amount"] = json!(7551);
    let report: Report = run.close(Scope::REST);
    let story = report.violations[0].story.join("\n");
    for part in [
        "OrderCreated",
        "caused by",
        "attempt 1",
        "ReservationHeld",
        "ledger 1: charge 75.51",
        "asked for",
    ] {
        assert!(story.contains(part), "{part} is not in\n{story}");
    }
}

#[test]
fn an_unreadable_line_names_the_field() {
    let mut books = checkout::books::Books::new(Scope::REST).unwrap();
    let line = r#"{"sequence":"1","subject":"evt.a.b.c","guard":0,"time":"2026-01-01T00:00:00Z","body":{}}"#;
    let error = books
        .read(checkout::books::Source::Journal, line)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("sequence: invalid type"), "{error}");
}
