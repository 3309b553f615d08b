//! A worker as a process of its own: what it tells an orchestrator, and how it ends with work in its hands.

use std::time::{Duration, Instant};

use jetsaga::{State, Status, StepStatus, anyhow, engine::ACK_WAIT};
use jetsaga_tests::harness::{Process, Role, System, audit, jetsaga, order, signal, step, until};
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

/// The payment worker as a process that serves its probes, and where.
async fn payment(system: &System, drain_limit: &str, more: &[&str]) -> anyhow::Result<(Process, String)> {
    let url = system.server.url();
    let (nats, provider) = (
        ["--nats-url", &url],
        ["--payment-provider-url", &system.provider.url],
    );
    let mut command = jetsaga()?;
    command.args(["worker", "payment", "--provision", "--http-listen", "127.0.0.1:0"]);
    let command = command
        .args(nats)
        .args(provider)
        .args(["--drain-limit", drain_limit])
        .args(more);
    let process = Process::start(command)?;
    let address = process.until_said("probes are served address=").await?;
    process.until_said("working").await?;
    Ok((process, format!("http://{address}")))
}

/// The status and the body of an answer; `None` if nobody listens.
async fn ask(url: &str) -> Option<(u16, String)> {
    let answer = reqwest::get(url).await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.text().await.ok()?))
}

/// Everything but the payment worker, a provider that takes its time, and orders that wait for it.
async fn with_orders(count: usize, delay: Duration) -> anyhow::Result<(System, Vec<String>)> {
    let system = System::bare().await?;
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 1_000).await?;
    }
    system
        .provider
        .failures(json!({"delay_ms": delay.as_millis()}))
        .await?;
    let ids: Vec<_> = (0..count).map(|n| format!("ORD-{n}")).collect();
    for id in &ids {
        system.place(&order(id)).await?;
    }
    Ok((system, ids))
}

/// A server that is gone cannot be told anything: the worker ends all the same, and says what may be lost.
#[tokio::test]
async fn a_worker_that_is_told_to_stop_while_nats_is_gone_ends_within_its_limit() {
    let system = System::bare().await.unwrap();
    let (worker, _) = payment(&system, "2s", &[]).await.unwrap();
    signal("-KILL", &system.server.id().unwrap().to_string())
        .await
        .unwrap();
    worker.until_said("disconnected").await.unwrap();
    let told = Instant::now();
    worker.terminate().await.unwrap();
    let (code, said) = worker.ended().await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("may be lost"), "{said}");
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
}

async fn until_in_flight(system: &System, ids: &[String]) -> anyhow::Result<()> {
    for id in ids {
        let key = format!("checkout:{id}:payment:run");
        until("the charge is on its way", async || {
            Ok(system
                .provider
                .outcome(&key)
                .await?
                .filter(|outcome| outcome == "in_flight"))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn sigterm_finishes_what_was_taken_and_ends_well() {
    let (system, ids) = with_orders(20, Duration::from_millis(1500)).await.unwrap();
    let _others = system
        .start_all(&[Role::Order, Role::Inventory, Role::Shipping])
        .await
        .unwrap();
    let (process, probes) = payment(&system, "10s", &[]).await.unwrap();
    until_in_flight(&system, &ids).await.unwrap();
    until_ready(&probes, 200).await.unwrap();
    // Somebody asks and never finishes: nobody waits for that.
    let address = probes.trim_start_matches("http://");
    let mut halfway = TcpStream::connect(address).await.unwrap();
    halfway
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        .await
        .unwrap();

    process.terminate().await.unwrap();
    process.until_said("draining").await.unwrap();
    // A drain can be watched.
    let (status, why) = ask(&format!("{probes}/readyz")).await.unwrap();
    assert_eq!((status, why.trim()), (503, "draining"));
    let (_, metrics) = ask(&format!("{probes}/metrics")).await.unwrap();
    assert!(metrics.contains("\njetsaga_draining 1\n"), "{metrics}");
    let begun = Instant::now();
    let (code, said) = process.ended().await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("drained") && !said.contains("drain limit reached"),
        "{said}"
    );
    assert!(begun.elapsed() < Duration::from_secs(10));

    // No other payment worker ever runs: what was charged was also recorded and acknowledged.
    for id in &ids {
        assert_eq!(system.until_final(id).await.unwrap().status, Status::Completed);
    }
    system.until_idle().await.unwrap();
    assert_eq!(audit(&system, &ids).await.unwrap(), ids.len());
    assert_eq!(system.provider.books().await.unwrap().charges, 20);
}

#[tokio::test]
async fn what_was_pulled_and_not_begun_goes_to_another_replica_at_once() {
    let (system, ids) = with_orders(128, Duration::from_millis(500)).await.unwrap();
    let _order = system.start(Role::Order).await.unwrap();
    let (process, _) = payment(&system, "5s", &["--concurrency", "64"]).await.unwrap();
    // Everything is pulled in the end, and begun in two halves.
    let events = system.js.get_stream("EVENTS").await.unwrap();
    until("everything is pulled and not everything begun", async || {
        let consumer = events.consumer_info("checkout-payment").await?;
        let begun = system.provider.books().await?.in_flight;
        let pulled = consumer.num_pending == 0 && consumer.num_ack_pending as u64 > begun;
        Ok((pulled && begun > 0).then_some(()))
    })
    .await
    .unwrap();
    process.terminate().await.unwrap();
    assert_eq!(process.ended().await.unwrap().0, Some(0));

    let paid = system.provider.books().await.unwrap().charges;
    assert!(paid < 128, "it begins nothing more");
    system.provider.failures(json!({"delay_ms": 0})).await.unwrap();
    let begun = Instant::now();
    let _another = system.start(Role::Payment).await.unwrap();
    let paid = |state: &State| step(state, "payment") == StepStatus::Done;
    for id in &ids {
        system.until(id, "paid", paid).await.unwrap();
    }
    let waited = begun.elapsed();
    assert!(
        waited < ACK_WAIT.mul_f64(0.8),
        "{waited:?}: a delivery had to expire first"
    );
}

#[tokio::test]
async fn the_drain_is_bounded_and_what_is_left_comes_again() {
    let (system, ids) = with_orders(1, Duration::from_secs(4)).await.unwrap();
    let _order = system.start(Role::Order).await.unwrap();
    let (process, _) = payment(&system, "1s", &[]).await.unwrap();
    until_in_flight(&system, &ids).await.unwrap();

    process.terminate().await.unwrap();
    let begun = Instant::now();
    let (code, said) = process.ended().await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(said.contains("drain limit reached"), "{said}");
    let events = system.js.get_stream("EVENTS").await.unwrap();
    let consumer = events.consumer_info("checkout-payment").await.unwrap();
    assert_eq!(consumer.num_ack_pending, 1, "it is still due");
}

#[tokio::test]
async fn the_probes_say_that_it_lives_and_is_ready_and_what_it_counted() {
    let (system, ids) = with_orders(1, Duration::ZERO).await.unwrap();
    let others = [Role::Order, Role::Inventory, Role::Shipping];
    let _others = system.start_all(&others).await.unwrap();
    let (_process, probes) = payment(&system, "1s", &[]).await.unwrap();
    system.until_final(&ids[0]).await.unwrap();
    until_ready(&probes, 200).await.unwrap();

    for (probe, says) in [("livez", "alive\n"), ("readyz", "ready\n")] {
        let answer = ask(&format!("{probes}/{probe}")).await;
        assert_eq!(answer, Some((200, says.to_owned())));
    }
    let (status, metrics) = ask(&format!("{probes}/metrics")).await.unwrap();
    assert_eq!(status, 200);
    let counted = "jetsaga_outcomes_total{consumer=\"checkout-payment\",event=\"PaymentProcessed\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn a_worker_lives_but_is_not_ready_while_its_server_is_away() {
    let mut system = System::bare().await.unwrap();
    let (process, probes) = payment(&system, "1s", &[]).await.unwrap();
    let server = system.server.id().unwrap().to_string();
    signal("-KILL", &server).await.unwrap();
    until_ready(&probes, 503).await.unwrap();
    assert_eq!(ask(&format!("{probes}/livez")).await.unwrap().0, 200);
    system.server.kill_and_restart().await.unwrap();
    until_ready(&probes, 200).await.unwrap();

    process.terminate().await.unwrap();
    assert_eq!(process.ended().await.unwrap().0, Some(0));
}

#[tokio::test]
async fn a_worker_without_its_consumer_is_not_ready_until_it_is_back() {
    let system = System::bare().await.unwrap();
    let (_process, probes) = payment(&system, "1s", &[]).await.unwrap();
    until_ready(&probes, 200).await.unwrap();
    let events = system.js.get_stream("EVENTS").await.unwrap();
    events.delete_consumer("checkout-payment").await.unwrap();
    until_ready(&probes, 503).await.unwrap();

    let worker = system.worker(Role::Payment, &system.nats).await.unwrap();
    worker.topology(1).ensure(&system.nats).await.unwrap();
    until_ready(&probes, 200).await.unwrap();
}

/// Waits until `/readyz` answers this.
async fn until_ready(probes: &str, status: u16) -> anyhow::Result<()> {
    until("the answer of /readyz", async || {
        let answer = ask(&format!("{probes}/readyz")).await;
        Ok(answer.filter(|(said, _)| *said == status).map(drop))
    })
    .await
}
