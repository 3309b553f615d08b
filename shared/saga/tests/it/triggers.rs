//! What a plan tells its consumers.

use saga::{Kind, Plan, StepIx};

use crate::given::{checkout, pair, token};

fn names(tokens: &[saga::Token]) -> Vec<&str> {
    tokens.iter().map(saga::Token::as_str).collect()
}

#[test]
fn every_event_type_has_one_meaning() {
    let plan = Plan::compile(&checkout()).unwrap();
    for (event, kind) in [
        ("OrderCreated", Kind::Started),
        ("PaymentProcessed", Kind::Done(StepIx(0))),
        ("OutOfStock", Kind::Refused(StepIx(1))),
        ("InventoryReleased", Kind::Undone(StepIx(1))),
        ("OrderTimedOut", Kind::TimedOut),
        ("OrderCancellationRequested", Kind::CancellationRequested),
        ("OrderCancelled", Kind::Cancelled),
        ("StepStuck", Kind::Stuck),
    ] {
        assert_eq!(plan.kind(&token(event)), Some(kind));
    }
    assert_eq!(plan.kind(&token("OrderLost")), None);
    assert_eq!(plan.event_types().count(), 13);
}

#[test]
fn what_the_consumers_of_the_checkout_hear() {
    let plan = Plan::compile(&checkout()).unwrap();
    let heard = |step: &str| plan.triggers(plan.find(step).unwrap());
    assert_eq!(
        names(&heard("payment")),
        [
            "OrderCancellationRequested",
            "OrderCreated",
            "OrderTimedOut",
            "OutOfStock",
            "ShippingFailed"
        ]
    );
    assert_eq!(
        names(&heard("inventory")),
        [
            "OrderCancellationRequested",
            "OrderCreated",
            "OrderTimedOut",
            "PaymentFailed",
            "ShippingFailed"
        ]
    );
    #[rustfmt::skip]
    assert_eq!(
        names(&heard("shipping")),
        ["InventoryReserved", "OrderCancellationRequested", "OrderTimedOut", "OutOfStock", "PaymentFailed",
         "PaymentProcessed"]
    );
    #[rustfmt::skip]
    assert_eq!(
        names(&plan.owner_triggers()),
        ["InventoryReleased", "OrderCancellationRequested", "OrderCreated", "OrderTimedOut", "OutOfStock",
         "PaymentFailed", "PaymentRefunded", "ShippingFailed"]
    );
    assert_eq!(plan.find("parcel"), None);
}

#[test]
fn a_step_hears_when_what_builds_on_it_is_undone() {
    let plan = Plan::compile(&pair()).unwrap();
    assert_eq!(
        names(&plan.triggers(StepIx(0))),
        [
            "CancellationRequested",
            "SecondRefused",
            "SecondUndone",
            "Started",
            "TimedOut"
        ]
    );
    assert_eq!(
        names(&plan.triggers(StepIx(1))),
        ["CancellationRequested", "FirstDone", "FirstRefused", "TimedOut"]
    );
}
