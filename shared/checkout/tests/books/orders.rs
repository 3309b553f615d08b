//! What may happen to one order: I1, I2, I4, I8 and I9.

use checkout::books::{Invariant, Scope};
use saga::EventId;
use serde_json::{Value, json};

use super::{all_found, append};
use crate::run::Run;

#[test]
fn i1_one_order_created_for_each_accepted_order_and_none_that_nobody_asked_for() {
    use Invariant::I1;
    all_found(&[
        (
            |run| append(run, ("OrderCreated", "SHIP"), "OrderCreated"),
            I1,
            "checkout.SHIP",
            "comes twice",
        ),
        (
            |run| {
                run.journal
                    .retain(|line| !line["subject"].as_str().unwrap().ends_with(".SHIP"))
            },
            I1,
            "checkout.SHIP",
            "it was accepted, but has no OrderCreated",
        ),
        (
            |run| run.take_out("OrderCreated", "SHIP"),
            I1,
            "checkout.SHIP",
            "before any OrderCreated",
        ),
        (
            |run| run.history.retain(|it| it["orderId"] != "CARD"),
            I1,
            "checkout.CARD",
            "nobody asked for it",
        ),
        (
            |run| run.history[0]["outcome"] = json!("refused"),
            I1,
            "checkout.SHIP",
            "was refused",
        ),
        (
            |run| run.history[0]["expected"] = json!("bad"),
            I1,
            "checkout.SHIP",
            "should have been refused",
        ),
        (
            |run| run.history[0]["sequence"] = json!(1),
            I1,
            "checkout.SHIP",
            "it was accepted as 1",
        ),
        (
            |run| run.history[0]["eventId"] = json!(EventId::derived("a", "b", "c")),
            I1,
            "checkout.SHIP",
            "event id of no request",
        ),
        (
            |run| {
                let id = EventId::derived("test", "SHIP", "cancel");
                run.ask("SHIP", "OrderCancellationRequested", id, "good", "ok", None);
            },
            I1,
            "checkout.SHIP",
            "cancellation was accepted",
        ),
    ]);
}

#[test]
fn i2_one_final_event_and_it_is_the_last() {
    use Invariant::I2;
    all_found(&[
        (
            |run| {
                run.place("LATE", "A", 1);
            },
            I2,
            "checkout.LATE",
            "it is not finished: running",
        ),
        (
            |run| append(run, ("PaymentProcessed", "SHIP"), "PaymentRefunded"),
            I2,
            "checkout.SHIP",
            "follows the end",
        ),
        (
            |run| append(run, ("OrderShipped", "SHIP"), "OrderCancelled"),
            I2,
            "checkout.SHIP",
            "it was Completed",
        ),
    ]);
}

#[test]
fn i4_each_outcome_once_and_each_trigger_once() {
    use Invariant::I4;
    all_found(&[
        (
            |run| append(run, ("PaymentProcessed", "SHIP"), "PaymentProcessed"),
            I4,
            "checkout.SHIP",
            "PaymentProcessed comes twice",
        ),
        (
            |run| append(run, ("OrderCancelled", "CARD"), "PaymentProcessed"),
            I4,
            "checkout.CARD",
            "was refused before",
        ),
        (
            |run| append(run, ("OrderCancelled", "FAR"), "PaymentRefunded"),
            I4,
            "checkout.FAR",
            "comes twice",
        ),
        (
            |run| append(run, ("OrderCancelled", "FAR"), "OrderTimedOut"),
            I4,
            "checkout.FAR",
            "was turned before",
        ),
        (
            |run| run.event("OrderShipped", "SHIP")["body"]["causationId"] = Value::Null,
            I4,
            "checkout.SHIP",
            "names no cause",
        ),
        (
            |run| {
                let created = run.event("OrderCreated", "SHIP")["body"]["eventId"].clone();
                run.event("OrderShipped", "SHIP")["body"]["causationId"] = created;
            },
            I4,
            "checkout.SHIP",
            "did not open its step",
        ),
        (
            |run| {
                let other = run.event("OrderCreated", "CARD")["body"]["eventId"].clone();
                run.event("PaymentProcessed", "SHIP")["body"]["causationId"] = other;
            },
            I4,
            "checkout.SHIP",
            "no event of the order",
        ),
        (
            |run| {
                let mut line = run.event("StockReserved", "A").clone();
                (line["sequence"], line["guard"]) =
                    (json!(run.journal.len() + 1), json!(run.last("stock", "A")));
                run.journal.push(line);
            },
            I4,
            "stock.A",
            "StockReserved of SHIP comes twice",
        ),
        (
            |run| {
                let mut line = run.event("ReservationHeld", "SHIP").clone();
                line["subject"] = json!("evt.reservation.ReservationRefused.SHIP");
                line["sequence"] = json!(run.journal.len() + 1);
                run.journal.push(line);
            },
            I4,
            "reservation.SHIP",
            "was Shipped already",
        ),
    ]);
}

#[test]
fn i8_what_is_undone_is_what_was_done_dependents_first() {
    use Invariant::I8;
    all_found(&[
        (
            |run| run.take_out("PaymentRefunded", "FAR"),
            I8,
            "checkout.FAR",
            "Payment is not undone",
        ),
        (
            |run| run.take_out("OutOfStock", "ROOM"),
            I8,
            "checkout.ROOM",
            "nothing had turned the order",
        ),
        (
            |run| run.take_out("PaymentFailed", "CARD"),
            I8,
            "checkout.CARD",
            "Payment is not settled",
        ),
        (
            |run| run.take_out("PaymentProcessed", "ROOM"),
            I8,
            "checkout.ROOM",
            "there was nothing to undo",
        ),
        (
            |run| {
                run.take_out("ShippingFailed", "FAR");
                let (n, line) = (run.journal.len(), run.journal.last().unwrap().clone());
                run.journal.push(line);
                run.journal[n]["subject"] = json!("evt.checkout.ShippingFailed.FAR");
            },
            I8,
            "checkout.FAR",
            "PaymentRefunded, but shipping depends on it and was not settled",
        ),
        (
            |run| {
                let created = run.place("OPEN", "A", 1);
                run.pay("OPEN", created);
                run.reserve("OPEN", created);
                append(run, ("OrderCreated", "OPEN"), "OrderTimedOut");
            },
            I8,
            "checkout.OPEN",
            "the parcel may be on its way",
        ),
        (
            |run| append(run, ("OrderCancelled", "CARD"), "ShippingFailed"),
            I8,
            "checkout.CARD",
            "never opened",
        ),
    ]);
}

#[test]
fn i9_nothing_is_shipped_before_its_payment_and_its_stock() {
    use Invariant::I9;
    all_found(&[
        (
            |run| run.take_out("PaymentProcessed", "SHIP"),
            I9,
            "checkout.SHIP",
            "is not paid",
        ),
        (
            |run| run.take_out("InventoryReserved", "SHIP"),
            I9,
            "checkout.SHIP",
            "nothing is set aside",
        ),
        (
            |run| run.take_out("ReservationHeld", "SHIP"),
            I9,
            "checkout.SHIP",
            "its stock is Undecided",
        ),
        (
            |run| run.take_out("OrderShipped", "SHIP"),
            I9,
            "reservation.SHIP",
            "is not shipped",
        ),
        (
            |run| run.take_out("OrderShipped", "SHIP"),
            I9,
            "stock.A",
            "which is not shipped",
        ),
    ]);
}

#[test]
fn a_persons_word_on_a_step_needs_no_cause() {
    let mut run = Run::clean();
    let body = &mut run.event("OrderShipped", "SHIP")["body"];
    body["causationId"] = Value::Null;
    body["resolvedBy"] = "ann".into();
    let done = &mut body["state"]["steps"]["shipping"]["done"];
    done.as_object_mut().unwrap().remove("causationId").unwrap();
    let report = run.close(Scope::REST);
    assert!(report.holds(), "{report}");
}
