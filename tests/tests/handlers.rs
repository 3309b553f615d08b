//! Plain handlers: each event once, whoever delivers it again, and a letter when there is no way on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use jetsaga::{Handler, Heard, Retry, Worker, anyhow, serde_json};
use jetsaga_tests::harness::{Role, Running, System, order, order_with, until};
use serde_json::Value;

/// The notices that were written, once there are `count`.
async fn notices(system: &System, count: usize) -> anyhow::Result<Vec<Value>> {
    until("the notices are written", async || {
        let text = std::fs::read_to_string(system.notices()).unwrap_or_default();
        let notices = text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<Vec<Value>, _>>()?;
        Ok(Some(notices).filter(|notices| notices.len() >= count))
    })
    .await
}

#[tokio::test]
async fn each_event_is_one_notice_however_often_it_is_delivered() {
    let (system, _workers) = System::checkout().await.unwrap();
    let notifier = system.start(Role::Notifier).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    system.until_final("ORD-1").await.unwrap();
    system
        .place(&order_with("ORD-2", "/paymentMethod", "tok_decline"))
        .await
        .unwrap();
    system.until_final("ORD-2").await.unwrap();
    let told = notices(&system, 4).await.unwrap();
    system.until_idle().await.unwrap();

    let texts: Vec<_> = told.iter().filter_map(|notice| notice["text"].as_str()).collect();
    for text in [
        "We have your order ORD-1 over 75.50.",
        "Your order ORD-1 is on its way.",
        "We have your order ORD-2 over 75.50.",
        "Your order ORD-2 was cancelled: the card was declined. Nothing is charged.",
    ] {
        assert!(texts.contains(&text), "{text:?} is not in {texts:#?}");
    }
    for id in ["ORD-1", "ORD-2"] {
        let history = system.history(id).await.unwrap();
        let last = &history.last().unwrap().event.event_id.to_string();
        assert!(
            told.iter()
                .any(|notice| notice["eventId"] == **last && notice["customerId"] == "CUST-12345")
        );
    }

    // Its consumer is lost with all that it knew; a new one hears everything from the beginning.
    notifier.stop().await.unwrap();
    let events = system.js.get_stream("EVENTS").await.unwrap();
    events.delete_consumer("notifier").await.unwrap();
    let notifier = system.start(Role::Notifier).await.unwrap();
    system.until_idle().await.unwrap();
    let metrics = notifier.nats.metrics.text();
    assert!(
        metrics.contains("jetsaga_duplicates_total{consumer=\"notifier\"} 4"),
        "{metrics}"
    );
    assert_eq!(notices(&system, 4).await.unwrap(), told);
}

/// What a handler under test was asked, and what it does about it.
struct Moody {
    calls: Arc<AtomicU32>,
    mood: fn(u32) -> anyhow::Result<()>,
}

impl Handler for Moody {
    async fn handle(&self, _: &Heard) -> anyhow::Result<()> {
        (self.mood)(self.calls.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Starts a handler of placed orders that tries eight times at most, and counts its calls.
async fn start(
    system: &System,
    name: &str,
    mood: fn(u32) -> anyhow::Result<()>,
) -> anyhow::Result<(Running, Arc<AtomicU32>)> {
    let calls = Arc::new(AtomicU32::new(0));
    let nats = system.connect().await?;
    let (first, max, limit) = (Duration::from_millis(1), Duration::from_millis(10), 8);
    let moody = Moody {
        calls: calls.clone(),
        mood,
    };
    let worker = Worker::new("moody").handler(name, "checkout", &["OrderCreated"], moody)?;
    let running = system
        .start_worker(worker.retrying(Retry { first, max, limit }), nats)
        .await?;
    Ok((running, calls))
}

#[tokio::test]
async fn a_handler_that_fails_or_panics_is_tried_again_until_it_is_done() {
    let system = System::bare().await.unwrap();
    let _order = system.start(Role::Order).await.unwrap();
    let mood = |call| match call {
        1 => anyhow::bail!("not now"),
        2 => unreachable!("out of ink"),
        _ => Ok(()),
    };
    let (_handler, calls) = start(&system, "moody", mood).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    until("it is done", async || {
        Ok((calls.load(Ordering::Relaxed) >= 3).then_some(()))
    })
    .await
    .unwrap();
    system.until_idle().await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    assert!(system.letters.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_handler_that_keeps_failing_buries_the_event_after_its_last_attempt_and_others_do_not() {
    let system = System::bare().await.unwrap();
    let _order = system.start(Role::Order).await.unwrap();
    let (_failing, failed) = start(&system, "failing", |_| anyhow::bail!("no ink at all"))
        .await
        .unwrap();
    let (_panicking, panicked) = start(&system, "panicking", |_| unreachable!("paper jam"))
        .await
        .unwrap();
    let (_well, handled) = start(&system, "well", |_| Ok(())).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    let letters = system.until_letters(2).await.unwrap();
    system.until_idle().await.unwrap();

    for (consumer, why) in [("failing", "no ink at all"), ("panicking", "paper jam")] {
        let letter = letters.iter().find(|letter| letter.consumer == consumer).unwrap();
        assert_eq!(
            (letter.reason.as_str(), letter.stream.as_str()),
            ("exhausted", "EVENTS")
        );
        assert_eq!(letter.subject, "evt.checkout.OrderCreated.ORD-1");
        assert!(letter.detail.contains("after 8 attempts: "), "{}", letter.detail);
        assert!(letter.detail.contains(why), "{}", letter.detail);
    }
    let calls = [&failed, &panicked, &handled].map(|calls| calls.load(Ordering::Relaxed));
    assert_eq!(calls, [8, 8, 1]);
}
