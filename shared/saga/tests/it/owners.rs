//! The transition table of a saga's owner, row by row, and the stories behind it.

use saga::{
    OwnerAction::{self, Cancel, Nothing, RequestCancellation, TimeOut},
    OwnerTrigger::{Cancellation, Deadline, Event},
    Status::{self, Cancelled, Compensating, Completed, Running},
    StepStatus::{Done, Open, Refused, Undone, Waiting},
};

use crate::given::{Given, any_state, given, given_of, pair};

/// Saga; whether a step is open or done; what an event, the deadline and a cancellation make its owner do.
#[rustfmt::skip]
const TABLE: [(Status, bool, [OwnerAction; 3]); 8] = [
    //                    event    deadline cancellation
    (Running,      true,  [Nothing, TimeOut, RequestCancellation]),
    (Running,      false, [Nothing, TimeOut, RequestCancellation]),
    (Compensating, true,  [Nothing, Nothing, Nothing]),
    (Compensating, false, [Cancel,  Cancel,  Cancel]),
    (Completed,    true,  [Nothing, Nothing, Nothing]),
    (Completed,    false, [Nothing, Nothing, Nothing]),
    (Cancelled,    true,  [Nothing, Nothing, Nothing]),
    (Cancelled,    false, [Nothing, Nothing, Nothing]),
];

fn answers(given: &Given) -> [OwnerAction; 3] {
    [Event, Deadline, Cancellation].map(|trigger| given.owner(trigger))
}

#[test]
fn every_row_of_the_table() {
    for (saga, active, expected) in TABLE {
        for first in [Waiting, Refused, Undone, Open, Done] {
            for second in [Waiting, Refused, Undone, Open, Done] {
                if active == (matches!(first, Open | Done) || matches!(second, Open | Done)) {
                    let given = any_state(saga, first, second);
                    assert_eq!(answers(&given), expected, "{}", given.shows());
                }
            }
        }
    }
}

#[test]
fn an_open_pivot_can_no_longer_be_turned() {
    let mut spec = pair();
    spec.steps[1].undone = None;
    let before = given_of(&spec, &["Started"]);
    assert_eq!(answers(&before), [Nothing, TimeOut, RequestCancellation]);
    let open = before.after("FirstDone").unwrap();
    assert_eq!(answers(&open), [Nothing; 3]);
    let shipping = given(&["OrderCreated", "InventoryReserved", "PaymentProcessed"]);
    assert_eq!(answers(&shipping), [Nothing; 3]);
    let refused = shipping.after("ShippingFailed").unwrap();
    assert_eq!(answers(&refused), [Nothing; 3], "what is done is undone first");
}

#[test]
fn the_end_waits_for_the_last_open_step() {
    let refused = given(&["OrderCreated", "PaymentFailed"]);
    assert_eq!(refused.owner(Event), Nothing, "inventory is open");
    assert_eq!(refused.after("OutOfStock").unwrap().owner(Event), Cancel);
    let reserved = refused.after("InventoryReserved").unwrap();
    assert_eq!(reserved.owner(Event), Nothing, "inventory is done");
    let released = reserved.after("InventoryReleased").unwrap();
    assert_eq!(answers(&released), [Cancel; 3], "{}", released.shows());
    assert_eq!(answers(&released.after("OrderCancelled").unwrap()), [Nothing; 3]);
}

#[test]
fn nothing_is_owed_while_all_goes_well() {
    let history = [
        "OrderCreated",
        "PaymentProcessed",
        "InventoryReserved",
        "OrderShipped",
    ];
    for n in 1..=history.len() {
        assert_eq!(given(&history[..n]).owner(Event), Nothing);
    }
}
