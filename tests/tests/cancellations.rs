//! An order taken back on request: in time, too late, and too early.

use jetsaga::{State, Status, StepStatus};
use jetsaga_tests::harness::{Role, System, audit, cancellation, order, step, types, until};

#[tokio::test]
async fn a_cancellation_in_time_gives_the_money_back() {
    let system = System::bare().await.unwrap();
    let _first = system.start_all(&[Role::Order, Role::Payment]).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    system
        .until("ORD-1", "paid", |state| {
            step(state, "payment") == StepStatus::Done
        })
        .await
        .unwrap();
    let answer = system
        .ask(&cancellation("ORD-1", "changed my mind"))
        .await
        .unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
    let _then = system.start(Role::Inventory).await.unwrap();

    assert_eq!(
        system.until_final("ORD-1").await.unwrap().status,
        Status::Cancelled
    );
    let history = system.history("ORD-1").await.unwrap();
    assert_eq!(
        types(&history)[..3],
        ["OrderCreated", "PaymentProcessed", "OrderCancellationRequested"]
    );
    assert_eq!(answer["sequence"], history[2].sequence);
    let mut taken_back = types(&history)[3..5].to_vec();
    taken_back.sort_unstable();
    assert_eq!(taken_back, ["OutOfStock", "PaymentRefunded"]);
    assert_eq!(history[5].event.reason.as_deref(), Some("changed my mind"));
    audit(&system, &["ORD-1".to_owned()]).await.unwrap();
    assert!(system.letters.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cancellation_that_comes_too_late_is_answered_so() {
    let system = System::bare().await.unwrap();
    system.stock("PROD-A1", 10).await.unwrap();
    system.stock("PROD-B2", 10).await.unwrap();
    let _first = system
        .start_all(&[Role::Order, Role::Payment, Role::Inventory])
        .await
        .unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    let open = |state: &State| step(state, "shipping") == StepStatus::Open;
    system.until("ORD-1", "ready to be shipped", open).await.unwrap();
    let on_its_way = system.ask(&cancellation("ORD-1", "too late")).await.unwrap();
    let _then = system.start(Role::Shipping).await.unwrap();
    assert_eq!(
        system.until_final("ORD-1").await.unwrap().status,
        Status::Completed
    );
    let completed = system.ask(&cancellation("ORD-1", "much too late")).await.unwrap();

    for (answer, status) in [(on_its_way, "running"), (completed, "completed")] {
        assert_eq!(
            (&answer["ok"], &answer["reason"]),
            (&false.into(), &"conflict".into())
        );
        let detail = answer["detail"].as_str().unwrap();
        assert!(
            detail.contains(status) && detail.contains("can only go forward"),
            "{detail}"
        );
    }
    assert_eq!(system.until_letters(2).await.unwrap()[0].reason, "conflict");
    assert_eq!(system.history("ORD-1").await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_cancellation_may_overtake_its_order() {
    let system = System::bare().await.unwrap();
    let _first = system.start(Role::Order).await.unwrap();
    system.place(&cancellation("ORD-1", "at once")).await.unwrap();
    let retries = system.js.get_stream("RETRY").await.unwrap();
    until("the cancellation is put off", async || {
        Ok((retries.get_info().await?.state.messages > 0).then_some(()))
    })
    .await
    .unwrap();
    assert!(system.letters.list().await.unwrap().is_empty());

    system.place(&order("ORD-1")).await.unwrap();
    let turned = |state: &State| state.status == Status::Compensating;
    system.until("ORD-1", "cancelled", turned).await.unwrap();
    let _then = system.start_all(&[Role::Payment, Role::Inventory]).await.unwrap();
    let state = system.until_final("ORD-1").await.unwrap();
    assert_eq!(
        (state.status, state.turned.unwrap().reason.as_str()),
        (Status::Cancelled, "at once")
    );
    audit(&system, &["ORD-1".to_owned()]).await.unwrap();
}
