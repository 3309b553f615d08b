//! An effect that fails for a while, for good, silently, or in the worst way: one outcome, one charge, no loss.

use std::{
    future::pending,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use checkout::{Checkout, OrderCreated, Payment, PaymentFailed, PaymentProcessed, PaymentRefunded};
use jetsaga::{
    Compensate, Effect, Outcome, Perform, Retry, Settled, State, Status, StepStatus, Worker, anyhow,
};
use jetsaga_tests::harness::{Role, Running, System, audit, order, step, types, until};
use serde_json::json;

const KEY: &str = "checkout:ORD-1:payment:run";

fn quick(limit: u32) -> Retry {
    let (first, max) = (Duration::from_millis(10), Duration::from_millis(50));
    Retry { first, max, limit }
}

/// Everything but the payment worker, with both products in stock.
async fn all_but_payment() -> anyhow::Result<(System, Vec<Running>)> {
    let system = System::bare().await?;
    system.stock("PROD-A1", 10).await?;
    system.stock("PROD-B2", 10).await?;
    let running = system
        .start_all(&[Role::Order, Role::Inventory, Role::Shipping])
        .await?;
    Ok((system, running))
}

/// A payment worker that tries as `retry` says.
async fn start_payment(system: &System, retry: Retry) -> anyhow::Result<Running> {
    let nats = system.connect().await?;
    let worker = system.worker(Role::Payment, &nats).await?.retrying(retry);
    system.start_worker(worker, nats).await
}

#[tokio::test]
async fn a_sick_provider_is_tried_soon_then_by_schedule_and_charges_once() {
    let (system, _workers) = System::checkout().await.unwrap();
    system.provider.failures(json!({"error_rate": 1})).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    let retries = system.js.get_stream("RETRY").await.unwrap();
    until("a retry is scheduled", async || {
        Ok((retries.get_info().await?.state.messages > 0).then_some(()))
    })
    .await
    .unwrap();
    let events = system.js.get_stream("EVENTS").await.unwrap();
    let consumer = events.consumer_info("checkout-payment").await.unwrap();
    assert_eq!(
        consumer.num_ack_pending, 0,
        "what waits long holds no place in the window"
    );

    system.provider.failures(json!({"error_rate": 0})).await.unwrap();
    assert_eq!(
        system.until_final("ORD-1").await.unwrap().status,
        Status::Completed
    );
    system.until_idle().await.unwrap();
    let history = system.history("ORD-1").await.unwrap();
    let paid = history
        .iter()
        .find(|event| event.event.event_type.as_str() == "PaymentProcessed")
        .unwrap();
    assert_eq!(
        paid.event.attempt,
        Some(6),
        "four soon, one by schedule, and the one that worked"
    );
    assert_eq!(system.provider.books().await.unwrap().charges, 1);
}

#[tokio::test]
async fn lost_answers_after_the_charge_are_one_charge() {
    let (system, _workers) = System::checkout().await.unwrap();
    system
        .provider
        .failures(json!({"lost_answer_rate": 1}))
        .await
        .unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    until("it is charged", async || {
        Ok((system.provider.books().await?.charges == 1).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(
        system.state("ORD-1").await.unwrap().unwrap().status,
        Status::Running
    );

    system
        .provider
        .failures(json!({"lost_answer_rate": 0}))
        .await
        .unwrap();
    assert_eq!(
        system.until_final("ORD-1").await.unwrap().status,
        Status::Completed
    );
    audit(&system, &["ORD-1".to_owned()]).await.unwrap();
    assert_eq!(system.provider.books().await.unwrap().charges, 1);
}

#[tokio::test]
async fn a_payment_out_of_attempts_is_forbidden_and_refused() {
    let (system, _workers) = all_but_payment().await.unwrap();
    system.provider.failures(json!({"error_rate": 1})).await.unwrap();
    let _payment = start_payment(&system, quick(3)).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();

    let state = system.until_final("ORD-1").await.unwrap();
    assert_eq!(state.status, Status::Cancelled);
    let reason = state.turned.unwrap().reason;
    assert!(
        reason.starts_with("gave up after 3 attempts: ") && reason.contains("500"),
        "{reason}"
    );
    assert_eq!(
        system.provider.outcome(KEY).await.unwrap().as_deref(),
        Some("forbidden")
    );
    audit(&system, &["ORD-1".to_owned()]).await.unwrap();
}

#[tokio::test]
async fn a_payment_out_of_attempts_that_happened_is_done() {
    let (system, _workers) = all_but_payment().await.unwrap();
    system
        .provider
        .failures(json!({"lost_answer_rate": 1}))
        .await
        .unwrap();
    let _payment = start_payment(&system, quick(3)).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();

    assert_eq!(
        system.until_final("ORD-1").await.unwrap().status,
        Status::Completed
    );
    assert_eq!(system.provider.books().await.unwrap().charges, 1);
    audit(&system, &["ORD-1".to_owned()]).await.unwrap();
}

/// An order that is paid and out of stock, and whose refund fails until it shows as stuck.
async fn stuck_refund() -> anyhow::Result<(System, Vec<Running>, State)> {
    let system = System::bare().await?;
    let mut running = system.start_all(&[Role::Order, Role::Shipping]).await?;
    running.push(start_payment(&system, quick(3)).await?);
    system.place(&order("ORD-1")).await?;
    let paid = |state: &State| step(state, "payment") == StepStatus::Done;
    system.until("ORD-1", "paid", paid).await?;
    system.provider.failures(json!({"error_rate": 1})).await?;
    running.push(system.start(Role::Inventory).await?); // nothing is in stock
    let stuck = |state: &State| state.stuck().next().is_some();
    let state = system.until("ORD-1", "stuck", stuck).await?;
    Ok((system, running, state))
}

#[tokio::test]
async fn an_undo_is_never_given_up_and_says_once_that_it_is_stuck() {
    let (system, _workers, state) = stuck_refund().await.unwrap();
    let (name, why) = state.stuck().next().unwrap();
    assert_eq!(format!("{name} {}", why.direction), "payment undo");
    assert!(why.reason.contains("500"), "{}", why.reason);
    until("it is tried several times more", async || {
        let retries = system.js.get_stream("RETRY").await?;
        Ok((retries.cached_info().state.last_sequence > 6).then_some(()))
    })
    .await
    .unwrap();
    let later = system.state("ORD-1").await.unwrap();
    assert_eq!(later, Some(state), "nothing is said twice");

    system.provider.failures(json!({"error_rate": 0})).await.unwrap();
    let state = system.until_final("ORD-1").await.unwrap();
    assert_eq!((state.status, state.stuck().count()), (Status::Cancelled, 0));
    let history = system.history("ORD-1").await.unwrap();
    assert_eq!(
        types(&history)[3..],
        ["StepStuck", "PaymentRefunded", "OrderCancelled"]
    );
    assert_eq!(system.provider.books().await.unwrap().refunds, 1);
    audit(&system, &["ORD-1".to_owned()]).await.unwrap();
}

#[tokio::test]
async fn a_handler_that_panics_is_out_of_attempts_too() {
    let reason = refused_by(Fault::Panics).await.unwrap();
    assert!(
        reason.starts_with("gave up after 2 attempts: the handler panicked:")
            && reason.ends_with("out of paper"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_handler_that_never_answers_is_out_of_attempts_too() {
    let reason = refused_by(Fault::Hangs).await.unwrap();
    assert_eq!(reason, "gave up after 2 attempts: not finished within 1s");
}

/// Why an order is refused whose payment breaks like this.
async fn refused_by(how: Fault) -> anyhow::Result<String> {
    let (system, _workers) = all_but_payment().await?;
    let nats = system.connect().await?;
    let broken = Broken {
        how,
        runs: AtomicU32::new(0),
    };
    let worker = Worker::new("payment")
        .step::<Checkout, Payment>(broken)?
        .retrying(quick(2));
    let _payment = system
        .start_with(worker, nats, &["--handler-limit", "1s"])
        .await?;
    system.place(&order("ORD-1")).await?;
    let state = system.until_final("ORD-1").await?;
    anyhow::ensure!(step(&state, "payment") == StepStatus::Refused);
    Ok(state.turned.map(|turn| turn.reason).unwrap_or_default())
}

/// A payment that breaks without an error.
struct Broken {
    how: Fault,
    runs: AtomicU32,
}

enum Fault {
    Panics,
    Hangs,
}

impl Perform<Payment> for Broken {
    async fn run(
        &self,
        _: &Effect,
        _: OrderCreated,
    ) -> anyhow::Result<Outcome<PaymentProcessed, PaymentFailed>> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        match self.how {
            Fault::Panics => unreachable!("out of paper"),
            Fault::Hangs => pending().await,
        }
    }

    async fn settle(
        &self,
        _: &Effect,
        _: OrderCreated,
    ) -> anyhow::Result<Settled<PaymentProcessed, PaymentFailed>> {
        assert_eq!(
            self.runs.load(Ordering::Relaxed),
            2,
            "it is settled after two attempts"
        );
        Ok(Settled::Forbidden)
    }
}

impl Compensate<Payment> for Broken {
    async fn undo(&self, _: &Effect, _: PaymentProcessed) -> anyhow::Result<PaymentRefunded> {
        anyhow::bail!("there is nothing to undo")
    }
}
