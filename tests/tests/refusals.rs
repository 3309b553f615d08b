//! Every way in which an order is refused or runs out of time: what was done is undone, and the books balance.

use std::time::Duration;

use jetsaga::{State, Status, StepStatus};
use jetsaga_tests::harness::{Role, System, audit, chained, order, order_with, step, types, until};
use serde_json::json;

const AT_ONCE: Duration = Duration::from_millis(300);

/// Waits until the order's deadline has fired and the order worker is done with it.
async fn until_deadline(system: &System, id: &str) -> anyhow::Result<()> {
    let due = format!("due.checkout.{id}.deadline");
    let timers = system.js.get_stream("TIMERS").await?;
    until("the deadline has fired", async || {
        Ok(timers.direct_get_last_for_subject(&due).await.ok())
    })
    .await?;
    system.until_idle().await
}

#[tokio::test]
async fn out_of_stock_after_the_payment_gives_the_money_back() {
    let system = System::bare().await.unwrap();
    system.stock("PROD-A1", 10).await.unwrap();
    system.stock("PROD-RARE", 1).await.unwrap();
    let _first = system
        .start_all(&[Role::Order, Role::Payment, Role::Shipping])
        .await
        .unwrap();
    let items = json!([{"productId": "PROD-A1", "quantity": 2}, {"productId": "PROD-RARE", "quantity": 2}]);
    system.place(&order_with("ORD-1", "/items", items)).await.unwrap();
    system
        .until("ORD-1", "paid", |state| {
            step(state, "payment") == StepStatus::Done
        })
        .await
        .unwrap();
    let _then = system.start(Role::Inventory).await.unwrap();

    let state = system.until_final("ORD-1").await.unwrap();
    assert_eq!(state.status, Status::Cancelled);
    let history = system.history("ORD-1").await.unwrap();
    let all = [
        "OrderCreated",
        "PaymentProcessed",
        "OutOfStock",
        "PaymentRefunded",
        "OrderCancelled",
    ];
    assert_eq!(types(&history), all);
    let reason = history.last().unwrap().event.reason.as_deref();
    assert_eq!(reason, Some("PROD-RARE is out of stock"));

    let books = system.provider.books().await.unwrap();
    assert_eq!((books.charged, books.refunded), (7550, 7550));
    for (sku, on_hand) in [("PROD-A1", 10), ("PROD-RARE", 1)] {
        let product = system.product(sku).await.unwrap();
        assert_eq!(
            (product.on_hand, product.reserved, product.shipped),
            (on_hand, 0, 0),
            "{sku}"
        );
    }
    assert_eq!(audit(&system, &["ORD-1".to_owned()]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_declined_card_puts_the_items_back() {
    let system = System::bare().await.unwrap();
    system.stock("PROD-A1", 10).await.unwrap();
    system.stock("PROD-B2", 10).await.unwrap();
    let _first = system.start_all(&[Role::Order, Role::Inventory]).await.unwrap();
    system
        .place(&order_with("ORD-1", "/paymentMethod", "tok_decline"))
        .await
        .unwrap();
    let reserved = |state: &State| step(state, "inventory") == StepStatus::Done;
    system.until("ORD-1", "reserved", reserved).await.unwrap();
    assert_eq!(system.product("PROD-A1").await.unwrap().reserved, 2);
    let _then = system.start(Role::Payment).await.unwrap();

    assert_eq!(
        system.until_final("ORD-1").await.unwrap().status,
        Status::Cancelled
    );
    let history = system.history("ORD-1").await.unwrap();
    let all = [
        "OrderCreated",
        "InventoryReserved",
        "PaymentFailed",
        "InventoryReleased",
        "OrderCancelled",
    ];
    assert_eq!(types(&history), all);
    assert_eq!(history[4].event.reason.as_deref(), Some("the card was declined"));
    assert_eq!(system.provider.books().await.unwrap().charges, 0);
    assert_eq!(system.product("PROD-A1").await.unwrap().on_hand, 10);
    chained(&history).unwrap();
}

#[tokio::test]
async fn a_refused_shipment_undoes_both() {
    let (system, _workers) = System::checkout().await.unwrap();
    system
        .place(&order_with("ORD-1", "/shippingAddress/zip", "00000"))
        .await
        .unwrap();

    assert_eq!(
        system.until_final("ORD-1").await.unwrap().status,
        Status::Cancelled
    );
    let history = system.history("ORD-1").await.unwrap();
    let mut undone = types(&history)[4..6].to_vec();
    undone.sort_unstable();
    assert_eq!(types(&history)[3], "ShippingFailed");
    assert_eq!(undone, ["InventoryReleased", "PaymentRefunded"]);
    assert_eq!(types(&history)[6], "OrderCancelled");
    let books = system.provider.books().await.unwrap();
    assert_eq!((books.charges, books.refunds), (1, 1));
    assert_eq!(system.product("PROD-B2").await.unwrap().on_hand, 1_000);
    audit(&system, &["ORD-1".to_owned()]).await.unwrap();
}

#[tokio::test]
async fn two_refusals_at_once_are_one_end() {
    let (system, _workers) = System::checkout().await.unwrap();
    let mut event = order_with("ORD-1", "/paymentMethod", "tok_decline");
    event["payload"]["items"][0]["quantity"] = 5_000.into();
    system.place(&event).await.unwrap();

    assert_eq!(
        system.until_final("ORD-1").await.unwrap().status,
        Status::Cancelled
    );
    let history = system.history("ORD-1").await.unwrap();
    let mut refused = types(&history)[1..3].to_vec();
    refused.sort_unstable();
    assert_eq!(refused, ["OutOfStock", "PaymentFailed"]);
    assert_eq!(types(&history)[3..], ["OrderCancelled"]);
    audit(&system, &["ORD-1".to_owned()]).await.unwrap();
}

#[tokio::test]
async fn a_deadline_does_nothing_once_the_pivot_is_open() {
    let mut system = System::bare().await.unwrap();
    system.order_deadline = AT_ONCE;
    system.stock("PROD-A1", 10).await.unwrap();
    system.stock("PROD-B2", 10).await.unwrap();
    let _first = system
        .start_all(&[Role::Order, Role::Payment, Role::Inventory])
        .await
        .unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    let open = |state: &State| step(state, "shipping") == StepStatus::Open;
    system.until("ORD-1", "ready to be shipped", open).await.unwrap();
    until_deadline(&system, "ORD-1").await.unwrap();
    assert_eq!(
        system.state("ORD-1").await.unwrap().unwrap().status,
        Status::Running
    );

    let _then = system.start(Role::Shipping).await.unwrap();
    assert_eq!(
        system.until_final("ORD-1").await.unwrap().status,
        Status::Completed
    );
    assert_eq!(system.provider.books().await.unwrap().refunds, 0);
    assert!(
        system.letters.list().await.unwrap().is_empty(),
        "a late deadline is no fault"
    );
}

#[tokio::test]
async fn a_deadline_cancels_and_a_payment_that_comes_later_is_forbidden() {
    let mut system = System::bare().await.unwrap();
    system.order_deadline = AT_ONCE;
    system.stock("PROD-A1", 10).await.unwrap();
    system.stock("PROD-B2", 10).await.unwrap();
    let _first = system.start_all(&[Role::Order, Role::Inventory]).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    let state = system
        .until("ORD-1", "put back", |state| {
            step(state, "inventory") == StepStatus::Undone
        })
        .await
        .unwrap();
    assert_eq!(state.turned.unwrap().event_type.as_str(), "OrderTimedOut");
    assert_eq!(
        state.status,
        Status::Compensating,
        "the payment is not settled yet"
    );

    // The late worker hears of the order first and charges; the charge takes its time, and the settling wins.
    system.provider.failures(json!({"delay_ms": 1000})).await.unwrap();
    let _late = system.start(Role::Payment).await.unwrap();
    assert_eq!(
        system.until_final("ORD-1").await.unwrap().status,
        Status::Cancelled
    );
    system.until_idle().await.unwrap();
    let key = "checkout:ORD-1:payment:run";
    assert_eq!(
        system.provider.outcome(key).await.unwrap().as_deref(),
        Some("forbidden")
    );
    assert_eq!(system.provider.books().await.unwrap().charges, 0);
    let history = system.history("ORD-1").await.unwrap();
    assert_eq!(types(&history)[4..], ["PaymentFailed", "OrderCancelled"]);
    assert_eq!(history[4].event.reason.as_deref(), Some("cancelled"));
    assert_eq!(history[5].event.reason.as_deref(), Some("the deadline elapsed"));
    audit(&system, &["ORD-1".to_owned()]).await.unwrap();
}

#[tokio::test]
async fn an_outcome_that_comes_after_its_step_was_settled_is_dropped() {
    let mut system = System::bare().await.unwrap();
    system.order_deadline = AT_ONCE;
    let _first = system.start(Role::Order).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    let turned = |state: &State| state.status == Status::Compensating;
    system.until("ORD-1", "out of time", turned).await.unwrap();
    system.provider.failures(json!({"delay_ms": 500})).await.unwrap();
    let _late = system.start(Role::Payment).await.unwrap();
    let refused = |state: &State| step(state, "payment") == StepStatus::Refused;
    let settled = system.until("ORD-1", "settled", refused).await.unwrap();
    system.until_idle().await.unwrap();

    assert_eq!(
        system.state("ORD-1").await.unwrap(),
        Some(settled),
        "the charge's own answer adds nothing"
    );
    assert!(system.letters.list().await.unwrap().is_empty(), "and is no fault");
    let _then = system.start(Role::Inventory).await.unwrap(); // it was open all the while
    assert_eq!(
        system.until_final("ORD-1").await.unwrap().status,
        Status::Cancelled
    );
    audit(&system, &["ORD-1".to_owned()]).await.unwrap();
}
