//! A system is checked against its own journal, damaged in every account, and repaired where that can be done.

mod damage;
mod tool;

use std::time::Duration;

use async_nats::jetstream::stream;
use checkout::books::Books;
use jetsaga::{
    Retry, anyhow,
    subject::{KV_STATE, RETRY, TIMERS},
};
use jetsaga_cli::record::{self, Ledger, Live};
use jetsaga_tests::harness::{Process, Role, Shape, System, fleet, jetsaga, order, until};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tool::{checker, clean, fifty, fsck, sentences};

#[tokio::test]
async fn a_run_is_clean_and_its_recording_is_checked_offline() {
    let (system, _workers) = fifty().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let shown = folder.display().to_string();
    let report = clean(&system, &["--at-rest", "--save", &shown]).await.unwrap();
    let counts = &report["counts"];
    for (what, count) in [
        ("orders", 50),
        ("completed", 35),
        ("cancelled", 15),
        ("open", 0),
        ("letters", 0),
    ] {
        assert_eq!(counts[what], count, "{what}: {counts}");
    }
    assert_eq!(report["missing"], json!(["history"]));
    let consumers = system.js.get_stream("EVENTS").await.unwrap();
    assert_eq!(
        consumers.cached_info().state.consumer_count,
        5,
        "nothing is left behind: {:?}",
        consumers.cached_info()
    );

    let run = checker(&folder).await.unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert_eq!(run.status.code(), Some(0), "{said}");
    assert!(
        said.contains("orders             50\n") && said.ends_with("everything holds\n"),
        "{said}"
    );

    damage::drop_line(&folder.join("ledger.jsonl"), "ORD-11:payment:run").unwrap();
    let run = checker(&folder).await.unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert_eq!(run.status.code(), Some(1), "{said}");
    let line = "I5   checkout.ORD-11: 0.00 was charged and 0.00 given back, but 75.50 is due for an order that was completed";
    assert!(said.contains(line), "{said}");

    damage::drop_line(
        &folder.join("journal.jsonl"),
        "evt.checkout.PaymentProcessed.ORD-12",
    )
    .unwrap();
    let said = String::from_utf8_lossy(&checker(&folder).await.unwrap().stdout).into_owned();
    for line in [
        "I3   checkout.ORD-12: ",
        "I9   checkout.ORD-12: OrderShipped, but the order is not paid",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }

    let run = checker(dir.path()).await.unwrap();
    assert_eq!(run.status.code(), Some(2), "there is no recording");
}

#[tokio::test]
async fn money_that_the_ledger_does_not_know_is_a_violation() {
    let (system, _workers) = System::checkout().await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    system.until_final("ORD-1").await.unwrap();
    let other = System::bare().await.unwrap();
    let (fine, report) = fsck(&system, &["--provider-url", &other.provider.url])
        .await
        .unwrap();
    assert!(!fine);
    assert_eq!(
        sentences(&report),
        [
            "I5 checkout.ORD-1 0.00 was charged and 0.00 given back, but 75.50 is due for an order that was completed",
            "I5 checkout.ORD-1 PaymentProcessed says 75.50, but the ledger charged 0.00",
        ]
    );
    let skipped = clean(&system, &["--no-ledger"]).await.unwrap();
    assert_eq!(skipped["missing"], json!(["ledger", "history"]));
}

#[tokio::test]
async fn a_wrong_bucket_is_rebuilt_unless_it_knows_more_than_the_journal() {
    let (system, _workers) = fifty().await.unwrap();
    damage::another_bucket(&system, &[("checkout.ORD-1", "{}"), ("checkout.GHOST", "{}")])
        .await
        .unwrap();
    let (fine, report) = fsck(&system, &["--at-rest"]).await.unwrap();
    assert!(!fine);
    let found = sentences(&report);
    for line in [
        "I7 checkout.GHOST the bucket keeps it, but the journal has no event of it",
        "I7 checkout.ORD-1 the bucket keeps event 0, but its last event is",
        "I7 checkout.ORD-2 the bucket lacks it; its last event is",
        "I7 stock.PROD-A1 the bucket lacks it; its last event is",
    ] {
        assert!(found.iter().any(|it| it.starts_with(line)), "{line}: {found:#?}");
    }
    assert!(found.iter().all(|it| it.starts_with("I7 ")), "{found:#?}");

    let mut command = jetsaga().unwrap();
    command.args([
        "--nats-url",
        &system.server.url(),
        "fsck",
        "--no-ledger",
        "--repair",
    ]);
    let run = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(!run.status.success());
    assert!(
        said.contains("it keeps 1 keys that the journal has no event of, checkout.GHOST first"),
        "{said}"
    );

    damage::another_bucket(&system, &[("checkout.ORD-1", "{}")])
        .await
        .unwrap();
    let repaired = clean(&system, &["--repair", "--at-rest"]).await.unwrap();
    let done = repaired["repaired"][0].as_str().unwrap();
    assert!(
        done.starts_with("the bucket is rebuilt from the journal; "),
        "{done}"
    );
    clean(&system, &["--at-rest"]).await.unwrap();
    let bucket = system.js.get_stream(KV_STATE).await.unwrap();
    let config: &stream::Config = &bucket.cached_info().config;
    assert!(
        config.subjects.is_empty() && config.sources.is_some(),
        "{config:?}"
    );
    system.place(&order("ORD-99")).await.unwrap();
    system.until_final("ORD-99").await.unwrap();
    clean(&system, &[]).await.unwrap();
}

/// Waits until a worker says so of how many seconds the bucket has not been filled for.
async fn until_unread(probes: &str, so: impl Fn(u64) -> bool) -> anyhow::Result<()> {
    until("a worker says how long the bucket was not filled", async || {
        let text = reqwest::get(format!("{probes}/metrics")).await?.text().await?;
        let name = "jetsaga_bucket_unread_seconds{bucket=\"STATE\"} ";
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(value
            .and_then(|value| value.parse().ok())
            .filter(|it| so(*it))
            .map(drop))
    })
    .await
}

#[tokio::test]
async fn a_bucket_that_is_not_filled_just_now_is_seen_and_waited_for() {
    let system = System::on(Shape::Alone).await.unwrap();
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 10).await.unwrap();
    }
    let roles = [Role::Payment, Role::Inventory, Role::Shipping];
    let _workers = system.start_all(&roles).await.unwrap();
    let mut command = system.as_process(Role::Order, jetsaga().unwrap());
    let worker = Process::start(command.args(["--http-listen", "127.0.0.1:0"])).unwrap();
    let address = worker.until_said("probes are served address=").await.unwrap();
    let probes = format!("http://{address}");
    system.place(&order("ORD-1")).await.unwrap();
    system.until_final("ORD-1").await.unwrap();
    until("the bucket is filled", async || {
        let at = record::bucket_at(&system.js).await?;
        Ok((at == system.journal_end().await?).then_some(()))
    })
    .await
    .unwrap();
    until_unread(&probes, |seconds| seconds <= 2).await.unwrap();

    damage::stop_filling(&system).await.unwrap();
    system.place(&order("ORD-2")).await.unwrap();
    system.until_final("ORD-2").await.unwrap();
    record::until_rest(&system.nats, Duration::from_secs(30))
        .await
        .unwrap();
    let missing = system.journal_end().await.unwrap() - record::bucket_at(&system.js).await.unwrap();
    assert!(missing > 0);
    let (held, shown) = tokio::join!(
        clean(&system, &["--at-rest"]),
        until_unread(&probes, |seconds| seconds >= 5),
    );
    held.unwrap();
    shown.unwrap();
    until_unread(&probes, |seconds| seconds <= 2).await.unwrap();
}

/// Between two questions of one look a message may go from a schedule to a consumer, and be seen by neither.
#[tokio::test]
async fn a_system_is_at_rest_when_two_looks_find_nothing_and_nothing_was_stored_in_between() {
    let system = System::bare().await.unwrap();
    let mut rest = record::Rest::default();
    let mut looked = async || rest.left(&system.js).await.unwrap();
    assert!(looked().await.is_some(), "one look is no proof");
    assert_eq!(looked().await, None);
    system.stock("PROD-A1", 10).await.unwrap(); // nobody has anything to do for it
    assert!(looked().await.is_some(), "something was stored since");
    assert_eq!(looked().await, None);
    assert_eq!(looked().await, None, "it stays so");
}

/// What goes from a schedule to a consumer while both are asked is still on its way.
#[tokio::test]
async fn an_order_that_is_tried_again_is_never_taken_for_stranded() {
    let system = System::bare().await.unwrap();
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 100).await.unwrap();
    }
    let mut owner = system.as_process(Role::Order, fleet().unwrap());
    let _owner = Process::start(owner.env("JETSAGA_NEWER", "version")).unwrap();
    // It leaves each order to newer workers, who never come: each comes again every five seconds.
    let mut payment = system.as_process(Role::Payment, jetsaga().unwrap());
    let _payment = Process::start(&mut payment).unwrap();
    let _rest = system
        .start_all(&[Role::Inventory, Role::Shipping])
        .await
        .unwrap();
    let ids: Vec<_> = (0..20).map(|n| format!("ORD-{n}")).collect();
    for id in &ids {
        system.place(&order(id)).await.unwrap();
        system.until(id, "let in", |_| true).await.unwrap();
        sleep(Duration::from_millis(200)).await; // not all at the same moment
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(15) {
        let live = Live::open(&system.nats, Ledger::Nowhere, false).await.unwrap();
        let mut books = Books::new(live.scope()).unwrap();
        live.read(&mut books).await.unwrap();
        let report = books.close();
        assert!(report.holds(), "{report}");
    }
}

#[tokio::test]
async fn an_order_whose_retry_and_timer_were_lost_is_carried_on() {
    let system = System::bare().await.unwrap();
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 10).await.unwrap();
    }
    let _workers = system
        .start_all(&[Role::Order, Role::Inventory, Role::Shipping])
        .await
        .unwrap();
    system.provider.failures(json!({"error_rate": 1})).await.unwrap();
    let nats = system.connect().await.unwrap();
    let first = Duration::from_secs(3);
    let slow = Retry {
        first,
        max: first,
        limit: 9,
    };
    let worker = system.worker(Role::Payment, &nats).await.unwrap().retrying(slow);
    let payment = system.start_worker(worker, nats).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    until("a retry is scheduled", async || {
        let retries = system.js.get_stream(RETRY).await?;
        Ok((retries.cached_info().state.messages > 0).then_some(()))
    })
    .await
    .unwrap();
    until("the rest is done", async || {
        let (fine, report) = fsck(&system, &[]).await?;
        anyhow::ensure!(fine, "{report:#}");
        let history = system.history("ORD-1").await?;
        Ok((history.len() == 2).then_some(()))
    })
    .await
    .unwrap();

    payment.stop().await.unwrap();
    for (stream, filter) in [(RETRY, ">"), (TIMERS, "timer.>")] {
        let stream = system.js.get_stream(stream).await.unwrap();
        stream.purge().filter(filter).await.unwrap();
    }
    let lost = until("the loss is seen", async || {
        let (fine, report) = fsck(&system, &[]).await?;
        Ok((!fine).then_some(report))
    });
    let found = sentences(&lost.await.unwrap());
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("I10 checkout.ORD-1 it waits since event "),
        "{found:#?}"
    );
    assert!(
        found[0].ends_with("but nothing is pending that would carry it on"),
        "{found:#?}"
    );
    assert!(
        found[1].starts_with("I10 checkout.ORD-1 no timer stands for its deadline "),
        "{found:#?}"
    );
    let (_, at_rest) = fsck(&system, &["--at-rest"]).await.unwrap();
    let found = sentences(&at_rest);
    assert!(
        found
            .iter()
            .any(|it| it.starts_with("I2 checkout.ORD-1 it is not finished: running")),
        "{found:#?}"
    );

    let repaired = clean(&system, &["--repair"]).await.unwrap();
    assert_eq!(repaired["repaired"].as_array().unwrap().len(), 2, "{repaired}");
    until("its deadline is armed again", async || {
        let timers = system.js.get_stream(TIMERS).await?;
        Ok((timers.cached_info().state.messages > 0).then_some(()))
    })
    .await
    .unwrap();
    system.provider.failures(json!({"error_rate": 0})).await.unwrap();
    let _payment = system.start(Role::Payment).await.unwrap();
    system.until_final("ORD-1").await.unwrap();
    record::until_rest(&system.nats, Duration::from_secs(30))
        .await
        .unwrap();
    clean(&system, &["--at-rest"]).await.unwrap();
}

#[tokio::test]
async fn a_forged_event_breaks_the_chain_and_is_told_with_its_story() {
    let (system, _workers) = System::checkout().await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    system.until_final("ORD-1").await.unwrap();
    record::until_rest(&system.nats, Duration::from_secs(30))
        .await
        .unwrap();
    clean(&system, &["--at-rest"]).await.unwrap();
    damage::forge(&system, "PaymentRefunded", "ORD-1", "OrderCreated")
        .await
        .unwrap();
    let (fine, report) = fsck(&system, &[]).await.unwrap();
    assert!(!fine);
    let found = sentences(&report);
    for line in [
        "I2 checkout.ORD-1 PaymentRefunded follows the end; it was Completed",
        "I3 checkout.ORD-1 PaymentRefunded at ",
        "I8 checkout.ORD-1 PaymentRefunded, but nothing had turned the order",
    ] {
        assert!(found.iter().any(|it| it.starts_with(line)), "{line}: {found:#?}");
    }
    let story = report["violations"][0]["story"].to_string();
    for part in [
        "OrderCreated",
        "ReservationHeld",
        "PaymentRefunded",
        "ledger 1: charge 75.50",
    ] {
        assert!(story.contains(part), "{part}: {story}");
    }
}
