//! What newer code put into the states of stock: more is accepted, less is not.

use checkout::books::{Invariant, Scope};
use serde_json::{Value, json};

use crate::run::Run;

/// A run whose stock was written by newer code: with a field more in every state, and in every entry of a list. The
/// entry of the first adjustment of A stays in the list, so that one is carried on.
fn by_newer_code() -> Run {
    let mut run = Run::clean();
    let mut lingering = None;
    for line in &mut run.journal {
        let subject = line["subject"].as_str().unwrap().to_owned();
        let is_stock = ["evt.stock.", "evt.reservation.", "evt.adjustment."]
            .iter()
            .any(|kind| subject.starts_with(kind));
        if !is_stock {
            continue;
        }
        let body = &mut line["body"];
        if subject == "evt.stock.StockAdjusted.A" {
            lingering = Some(body["state"]["inFlight"][0].clone());
        } else if let Some(entry) = lingering
            .as_ref()
            .filter(|_| subject.starts_with("evt.stock.") && subject.ends_with(".A"))
        {
            if let Some(Value::Array(settled)) = body["payload"].get_mut("settled") {
                settled.retain(|settled| settled["id"] != entry["id"]);
            }
            entries(&mut body["state"]).insert(0, entry.clone());
        }
        more(&mut body["state"]);
        if subject.starts_with("evt.stock.") {
            entries(&mut body["state"]).iter_mut().for_each(more);
        }
    }
    run
}

fn entries(state: &mut Value) -> &mut Vec<Value> {
    state["inFlight"].as_array_mut().unwrap()
}

fn more(object: &mut Value) {
    object["newer"] = json!({"weight": 2});
}

fn less(object: &mut Value) {
    object.as_object_mut().unwrap().remove("newer").unwrap();
}

fn state<'a>(run: &'a mut Run, what: &str, id: &str) -> &'a mut Value {
    &mut run.event(what, id)["body"]["state"]
}

#[test]
fn newer_code_may_have_put_in_more() {
    let report = by_newer_code().close(Scope::REST);
    assert!(report.holds(), "{report}");

    // What is in it is for newer code to say.
    let mut run = by_newer_code();
    for (what, id) in [
        ("StockShipped", "A"),
        ("ReservationShipped", "SHIP"),
        ("AdjustmentApplied", "seed-A"),
    ] {
        state(&mut run, what, id)["newer"] = json!(3);
    }
    entries(state(&mut run, "StockShipped", "A"))[0]["newer"] = json!(null);
    let report = run.close(Scope::REST);
    assert!(report.holds(), "{report}");
}

type Spoil = fn(&mut Run);

#[test]
fn nothing_that_newer_code_put_in_may_be_lost_and_nothing_else_may_differ() {
    let cases: [(Spoil, &str); 7] = [
        (|run| less(state(run, "StockReserved", "A")), "stock.A"),
        (
            |run| less(&mut entries(state(run, "StockShipped", "A"))[0]),
            "stock.A",
        ),
        (
            |run| drop(entries(state(run, "StockShipped", "A")).remove(0)),
            "stock.A",
        ),
        (
            |run| less(state(run, "ReservationShipped", "SHIP")),
            "reservation.SHIP",
        ),
        (
            |run| less(state(run, "AdjustmentApplied", "seed-A")),
            "adjustment.seed-A",
        ),
        (
            |run| state(run, "ReservationShipped", "SHIP")["short"] = json!("A"),
            "reservation.SHIP",
        ),
        (
            |run| state(run, "AdjustmentApplied", "seed-A")["quantity"] = json!(9),
            "adjustment.seed-A",
        ),
    ];
    for (n, (spoil, entity)) in cases.iter().enumerate() {
        let mut run = by_newer_code();
        spoil(&mut run);
        let report = run.close(Scope::REST);
        let found = report
            .of(Invariant::I7)
            .any(|it| it.entity == *entity && it.sentence.contains("carries another state"));
        assert!(found, "case {n} of {entity} goes unnoticed:\n{report}");
    }
}
