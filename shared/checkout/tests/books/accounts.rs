//! What the accounts of a run say of each other: I3, I5, I6 and I7.

use checkout::books::Invariant;
use serde_json::{Value, json};

use super::{all_found, append};

#[test]
fn i3_one_chain_of_guards_and_event_ids_of_their_own() {
    use Invariant::I3;
    all_found(&[
        (
            |run| run.event("OrderShipped", "SHIP")["guard"] = json!(1),
            I3,
            "checkout.SHIP",
            "rests on 1, not on",
        ),
        (
            |run| run.event("OrderShipped", "SHIP")["guard"] = Value::Null,
            I3,
            "checkout.SHIP",
            "without a guard",
        ),
        (
            |run| run.event("StockShipped", "A")["guard"] = json!(0),
            I3,
            "stock.A",
            "rests on 0",
        ),
        (
            |run| run.event("ReservationHeld", "FAR")["guard"] = json!(9),
            I3,
            "reservation.FAR",
            "rests on 9",
        ),
        (
            |run| {
                let id = run.event("OrderCreated", "SHIP")["body"]["eventId"].clone();
                run.event("OrderCancelled", "FAR")["body"]["eventId"] = id;
            },
            I3,
            "checkout.FAR",
            "comes twice in the journal",
        ),
        (
            |run| run.journal.swap(0, 1),
            I3,
            "adjustment.seed-A",
            "event 1 comes after 2",
        ),
    ]);
}

#[test]
fn i5_the_ledger_holds_what_the_orders_are_worth() {
    use Invariant::I5;
    all_found(&[
        (
            |run| drop(run.ledger.remove(0)),
            I5,
            "checkout.SHIP",
            "0.00 was charged and 0.00 given back, but 75.50",
        ),
        (
            |run| drop(run.ledger.remove(0)),
            I5,
            "ledger",
            "something is missing",
        ),
        (
            |run| run.ledger[0]["amount"] = json!(7551),
            I5,
            "checkout.SHIP",
            "75.51 was charged",
        ),
        (
            |run| run.ledger[0]["amount"] = json!(7551),
            I5,
            "checkout.SHIP",
            "PaymentProcessed says 75.50",
        ),
        (
            |run| run.ledger[0]["key"] = json!("checkout:NOBODY:payment:run"),
            I5,
            "checkout.NOBODY",
            "not in the journal",
        ),
        (
            |run| run.ledger[0]["key"] = json!("SHIP-again"),
            I5,
            "ledger",
            "which is no such key",
        ),
        (
            |run| run.ledger[0]["reference"] = json!("FAR"),
            I5,
            "ledger",
            "but about FAR",
        ),
        (
            |run| run.ledger.push(run.ledger[0].clone()),
            I5,
            "checkout.SHIP",
            "has 2 outcomes",
        ),
        (
            |run| drop(run.ledger.pop()),
            I5,
            "checkout.FAR",
            "75.50 was given back, but the ledger says 0.00",
        ),
        (
            |run| run.ledger[1]["kind"] = json!("charge"),
            I5,
            "checkout.CARD",
            "neither declined nor forbade",
        ),
        (
            |run| run.event("PaymentProcessed", "SHIP")["body"]["payload"]["amount"] = json!(1),
            I5,
            "checkout.SHIP",
            "PaymentProcessed says 1.00, but the order is about 75.50",
        ),
    ]);
}

#[test]
fn i6_no_unit_of_stock_appears_or_vanishes() {
    use Invariant::I6;
    all_found(&[
        (
            |run| run.event("StockAdjusted", "A")["body"]["payload"]["quantity"] = json!(1),
            I6,
            "stock.A",
            "after event 9 there are -1 on hand, 2 reserved, 0 shipped",
        ),
        (
            |run| run.event("StockShipped", "A")["body"]["payload"]["quantity"] = json!(1),
            I6,
            "checkout.SHIP",
            "it takes 2 of A and is Shipped, but 2 were reserved, 0 released, 1 shipped",
        ),
        (
            |run| run.take_out("StockShipped", "A"),
            I6,
            "stock.A",
            "2 are still reserved",
        ),
        (
            |run| run.event("AdjustmentApplied", "seed-A")["body"]["payload"]["quantity"] = json!(11),
            I6,
            "stock.A",
            "adjustments add up to 11, but 8 are on hand, 0 reserved, 2 shipped",
        ),
        (
            |run| run.take_out("AdjustmentApplied", "seed-A"),
            I6,
            "adjustment.seed-A",
            "neither applied nor refused",
        ),
        (
            |run| run.take_out("ReservationShipped", "SHIP"),
            I6,
            "checkout.SHIP",
            "the order is completed, but its reservation is Held",
        ),
        (
            |run| run.take_out("ReservationReleased", "FAR"),
            I6,
            "checkout.FAR",
            "InventoryReleased, but the reservation is Held",
        ),
        (
            |run| run.event("StockReserved", "A")["body"]["state"]["onHand"] = json!(9),
            I6,
            "stock.A",
            "carries [9, 2, 0], but what was moved adds up to [8, 2, 0]",
        ),
    ]);
}

#[test]
fn i7_states_are_what_the_payloads_fold_to_and_the_bucket_keeps_the_last() {
    use Invariant::I7;
    all_found(&[
        (
            |run| run.event("PaymentProcessed", "SHIP")["body"]["state"]["events"] = json!(7),
            I7,
            "checkout.SHIP",
            "carries another state",
        ),
        (
            |run| run.event("StockReserved", "A")["body"]["state"]["shipped"] = json!(1),
            I7,
            "stock.A",
            "carries another state",
        ),
        (
            |run| run.event("OrderShipped", "SHIP")["body"]["state"] = Value::Null,
            I7,
            "checkout.SHIP",
            "carries no state",
        ),
        (
            |run| run.event("OrderShipped", "SHIP")["body"] = json!("junk"),
            I7,
            "checkout.SHIP",
            "is no event",
        ),
        (
            |run| run.event("OrderShipped", "SHIP")["body"]["payload"]["orderId"] = json!("FAR"),
            I7,
            "checkout.SHIP",
            "speaks of FAR",
        ),
        (
            |run| run.event("OrderShipped", "SHIP")["body"]["eventType"] = json!("Odd"),
            I7,
            "checkout.SHIP",
            "is a Odd on",
        ),
        (
            |run| append(run, ("OrderShipped", "SHIP"), "OrderLost"),
            I7,
            "checkout.SHIP",
            "no event of an order",
        ),
        (
            |run| drop(run.bucket.insert("checkout.SHIP".into(), None)),
            I7,
            "checkout.SHIP",
            "the bucket lacks it",
        ),
        (
            |run| {
                let line = json!({"key": "checkout.SHIP", "sequence": 5, "body": {}});
                run.bucket.insert("checkout.SHIP".into(), Some(line));
            },
            I7,
            "checkout.SHIP",
            "the bucket keeps event 5",
        ),
        (
            |run| {
                let line = json!({"key": "stock.A", "sequence": run.last("stock", "A"), "body": {}});
                run.bucket.insert("stock.A".into(), Some(line));
            },
            I7,
            "stock.A",
            "another content",
        ),
        (
            |run| {
                let line = json!({"key": "checkout.GHOST", "sequence": 5, "body": {}});
                run.bucket.insert("checkout.GHOST".into(), Some(line));
            },
            I7,
            "checkout.GHOST",
            "the journal has no event of it",
        ),
    ]);
}
