//! What a person does from the command line: give an order up, have a step tried again, state what happened outside.

use std::time::Duration;

use jetsaga::{Retry, State, Status, StepStatus, anyhow};
use jetsaga_tests::harness::{Process, Role, Running, System, audit, jetsaga, order, order_with, step};
use serde_json::json;

/// What `resolve` takes for no statement that could be recorded, and what it says.
const WRONG: [(&[&str], &str); 6] = [
    (
        &["ORD-1", "payment", "--did-not-happen"],
        "is done; such a statement takes one that is open",
    ),
    (
        &["ORD-1", "payment", "--taken-back", "{}"],
        "missing field `orderId`",
    ),
    (
        &["ORD-1", "payment", "--taken-back", "?"],
        "the payload is no JSON",
    ),
    (
        &["ORD-1", "shipping", "--taken-back", "{}"],
        "step shipping has no undo",
    ),
    (
        &["ORD-1", "nobody", "--did-not-happen"],
        "there are payment, inventory, shipping",
    ),
    (
        &["ORD-9", "payment", "--did-not-happen"],
        "there is no checkout ORD-9",
    ),
];

/// The tool on this system: its exit code and its words.
async fn tool(system: &System, args: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let url = system.server.url();
    let mut command = jetsaga()?;
    Process::start(command.args(args).args(["--nats-url", &url]))?
        .ended()
        .await
}

/// The checkout without shipping, whose payment worker tries twice and then is stuck for long.
async fn impatient() -> anyhow::Result<(System, Vec<Running>)> {
    let system = System::bare().await?;
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 1_000).await?;
    }
    let mut running = system.start_all(&[Role::Order, Role::Inventory]).await?;
    let nats = system.connect().await?;
    let worker = system.worker(Role::Payment, &nats).await?.retrying(Retry {
        first: Duration::from_secs(1),
        max: Duration::from_secs(600),
        limit: 2,
    });
    running.push(system.start_worker(worker, nats).await?);
    Ok((system, running))
}

/// An order whose shipment is refused while the provider fails: its refund is stuck.
async fn stuck_refund() -> anyhow::Result<(System, Vec<Running>)> {
    let (system, mut running) = impatient().await?;
    let event = order_with("ORD-1", "/shippingAddress/zip", "00000");
    system.place(&event).await?;
    let open = |state: &State| step(state, "shipping") == StepStatus::Open;
    system.until("ORD-1", "paid and reserved", open).await?;
    system.provider.failures(json!({"error_rate": 1})).await?;
    running.push(system.start(Role::Shipping).await?);
    let stuck = |state: &State| state.stuck().next().is_some();
    system.until("ORD-1", "stuck", stuck).await?;
    Ok((system, running))
}

#[tokio::test]
async fn a_stuck_refund_is_recorded_on_a_persons_word_and_the_order_ends() {
    let (system, _running) = stuck_refund().await.unwrap();
    for (args, says) in WRONG {
        let line = [["resolve", "--note", "asked the bank"].as_slice(), args].concat();
        let (code, said) = tool(&system, &line).await.unwrap();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(says), "{said}");
    }

    let payload = json!({"orderId": "ORD-1", "refundId": "by hand", "amount": 75.50}).to_string();
    let stated = ["resolve", "ORD-1", "payment", "--taken-back", &payload];
    let line = [stated.as_slice(), &["--note", "wired back", "--by", "ann"]].concat();
    let (code, said) = tool(&system, &line).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        system.until_final("ORD-1").await.unwrap().status,
        Status::Cancelled
    );
    let history = system.history("ORD-1").await.unwrap();
    let by_hand = history.iter().find(|it| it.event.resolved_by.is_some()).unwrap();
    assert_eq!(by_hand.event.event_type.as_str(), "PaymentRefunded");
    let words = (
        by_hand.event.resolved_by.as_deref(),
        by_hand.event.note.as_deref(),
    );
    assert_eq!(words, (Some("ann"), Some("wired back")));
    let (code, said) = tool(&system, &line).await.unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("payment of ORD-1 is undone"), "{said}");
    assert_eq!(system.history("ORD-1").await.unwrap().len(), history.len());
}

#[tokio::test]
async fn a_stuck_step_is_tried_at_once_when_it_is_told_to() {
    let (system, _running) = stuck_refund().await.unwrap();
    system.provider.failures(json!({"error_rate": 0})).await.unwrap();
    let (code, said) = tool(&system, &["retry", "ORD-1"]).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("payment is told of event"), "{said}");
    assert_eq!(
        system.until_final("ORD-1").await.unwrap().status,
        Status::Cancelled
    );
    audit(&system, &["ORD-1".to_owned()]).await.unwrap();
    for (id, says) in [
        ("ORD-1", "ORD-1 is cancelled, and nobody owes it anything"),
        ("ORD-2", "there is no order ORD-2"),
    ] {
        let (code, said) = tool(&system, &["retry", id]).await.unwrap();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(says), "{said}");
    }
}

#[tokio::test]
async fn an_order_is_cancelled_from_the_command_line_or_it_is_said_why_not() {
    let (system, _running) = System::checkout().await.unwrap();
    let slow = order_with("ORD-1", "/paymentMethod", "tok_delay_2000");
    system.place(&slow).await.unwrap();
    let line = ["cancel", "ORD-1", "--reason", "two\u{1b}[31m lines\nof it"];
    let (code, said) = tool(&system, &line).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    let state = system.until_final("ORD-1").await.unwrap();
    assert_eq!(state.turned.unwrap().reason, "two [31m lines of it");

    system.place(&order("ORD-2")).await.unwrap();
    system.until_final("ORD-2").await.unwrap();
    let (code, said) = tool(&system, &["cancel", "ORD-2"]).await.unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("ORD-2 is completed and can only go forward"),
        "{said}"
    );
}
