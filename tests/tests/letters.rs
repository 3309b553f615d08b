//! Dead letters: given back to whoever buried them, once, or dropped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State as Shared, http::StatusCode, routing::post};
use checkout::Checkout;
use jetsaga::{Letter, Retry, Status, Worker, anyhow};
use jetsaga_tests::harness::{Role, Running, System, order, until};
use tokio::net::TcpListener;

#[tokio::test]
async fn a_letter_from_the_inbox_is_let_in_once_the_fault_is_gone() {
    let system = System::bare().await.unwrap();
    let nats = system.connect().await.unwrap();
    let closed = Worker::new("order")
        .own::<Checkout>(Duration::from_secs(900), |_| Err("closed today".to_owned()))
        .unwrap();
    let closed = system.start_worker(closed, nats).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    let letter = system.until_letters(1).await.unwrap().remove(0);
    assert_eq!(
        (letter.reason.as_str(), letter.detail.as_str()),
        ("invalid", "closed today")
    );
    closed.stop().await.unwrap();

    let _open = system.start(Role::Order).await.unwrap();
    system.letters.redrive(&letter).await.unwrap();
    system
        .until("ORD-1", "let in", |state| state.status == Status::Running)
        .await
        .unwrap();
    assert!(system.letters.list().await.unwrap().is_empty());

    changes_nothing_the_second_time(&system, &letter).await;
    assert_eq!(system.history("ORD-1").await.unwrap().len(), 1);
}

/// Redriving a letter that is gone is refused, and nothing comes of it.
async fn changes_nothing_the_second_time(system: &System, letter: &Letter) {
    let inbox = system
        .js
        .get_stream("INBOX")
        .await
        .map(|stream| stream.cached_info().state.last_sequence);
    let again = system
        .letters
        .redrive(letter)
        .await
        .map_err(|error| error.to_string());
    assert_eq!(
        again,
        Err(format!("there is no letter {} any more", letter.sequence))
    );
    let after = system
        .js
        .get_stream("INBOX")
        .await
        .map(|stream| stream.cached_info().state.last_sequence);
    assert_eq!(inbox.ok(), after.ok());
    assert!(system.until_idle().await.is_ok());
}

/// A system whose notifier has given up on one order: its webhook is down.
async fn given_up(hook: &Hook) -> anyhow::Result<(System, [Running; 2], Letter)> {
    let system = System::bare().await?;
    let order_worker = system.start(Role::Order).await?;
    let notifier = notifier(&system, hook).await?;
    system.place(&order("ORD-1")).await?;
    let letter = system.until_letters(1).await?.remove(0);
    Ok((system, [order_worker, notifier], letter))
}

#[tokio::test]
async fn a_letter_of_a_handler_is_handled_once_its_webhook_answers() {
    let hook = Hook::serve().await.unwrap();
    let (system, _workers, letter) = given_up(&hook).await.unwrap();
    assert_eq!(
        (letter.reason.as_str(), letter.consumer.as_str()),
        ("exhausted", "notifier")
    );
    assert!(letter.detail.contains("after 3 attempts"), "{}", letter.detail);
    assert!(letter.detail.contains("503"), "{}", letter.detail);
    assert_eq!(letter.subject, "evt.checkout.OrderCreated.ORD-1");
    assert_eq!(hook.asked.load(Ordering::Relaxed), 3);

    hook.healthy.store(true, Ordering::Relaxed);
    system.letters.redrive(&letter).await.unwrap();
    hook.until_told_once().await.unwrap();
    changes_nothing_the_second_time(&system, &letter).await;
    assert_eq!(hook.told.load(Ordering::Relaxed), 1);
    assert!(system.letters.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn even_the_very_message_of_a_redrive_does_nothing_more() {
    let hook = Hook::serve().await.unwrap();
    let (system, [_, notifier], letter) = given_up(&hook).await.unwrap();
    hook.healthy.store(true, Ordering::Relaxed);
    system.letters.redrive(&letter).await.unwrap();
    hook.until_told_once().await.unwrap();

    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Jetsaga-Subject", letter.subject.as_str());
    headers.insert("Jetsaga-Stream", "EVENTS");
    headers.insert("Jetsaga-Sequence", letter.stream_sequence.to_string().as_str());
    let due = "due.checkout.notifier.ORD-1.1";
    system
        .publish_with(due, headers, letter.bytes.to_vec())
        .await
        .unwrap();
    system.until_idle().await.unwrap();
    assert_eq!(hook.told.load(Ordering::Relaxed), 1, "the event id is known");
    let metrics = notifier.nats.metrics.text();
    assert!(
        metrics.contains("jetsaga_duplicates_total{consumer=\"notifier\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_letter_that_is_still_poison_is_buried_again_and_never_lost() {
    let (system, _workers) = System::checkout().await.unwrap();
    system
        .publish("evt.checkout.OrderCreated.X", "poison")
        .await
        .unwrap();
    for _ in 0..10 {
        let letters = system.until_letters(3).await.unwrap();
        for letter in &letters {
            system.letters.redrive(letter).await.unwrap();
        }
        system.until_idle().await.unwrap();
    }
    let letters = system.until_letters(3).await.unwrap();
    for letter in &letters {
        assert_eq!(
            (letter.body.as_str(), letter.reason.as_str()),
            ("poison", "undecodable")
        );
        assert_eq!(
            (letter.stream.as_str(), letter.subject.as_str()),
            ("EVENTS", "evt.checkout.OrderCreated.X")
        );
    }
}

#[tokio::test]
async fn a_dropped_letter_is_gone_and_only_that_one() {
    let system = System::bare().await.unwrap();
    let _order = system.start(Role::Order).await.unwrap();
    for body in ["one", "two", "three"] {
        system.publish("in.checkout.OrderCreated", body).await.unwrap();
    }
    let letters = system.until_letters(3).await.unwrap();
    let two = letters.iter().find(|letter| letter.body == "two").unwrap();
    assert_eq!(
        system.letters.get(two.sequence).await.unwrap().unwrap().bytes,
        two.bytes
    );
    system.letters.drop(two.sequence).await.unwrap();

    assert!(system.letters.get(two.sequence).await.unwrap().is_none());
    assert!(system.letters.drop(two.sequence).await.is_err());
    let mut left: Vec<_> = system
        .letters
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|letter| letter.body)
        .collect();
    left.sort_unstable();
    assert_eq!(left, ["one", "three"]);
    changes_nothing_the_second_time(&system, two).await;
}

/// A webhook that is down until it is healthy.
#[derive(Default)]
struct Hook {
    url: String,
    healthy: AtomicBool,
    asked: AtomicU32,
    told: AtomicU32,
}

impl Hook {
    async fn serve() -> anyhow::Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let hook = Arc::new(Self {
            url,
            ..Self::default()
        });
        let app = Router::new()
            .route("/", post(Self::hear))
            .with_state(hook.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(hook)
    }

    async fn until_told_once(&self) -> anyhow::Result<()> {
        until("the webhook is told", async || {
            Ok((self.told.load(Ordering::Relaxed) == 1).then_some(()))
        })
        .await
    }

    async fn hear(Shared(hook): Shared<Arc<Self>>) -> StatusCode {
        hook.asked.fetch_add(1, Ordering::Relaxed);
        if !hook.healthy.load(Ordering::Relaxed) {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        hook.told.fetch_add(1, Ordering::Relaxed);
        StatusCode::OK
    }
}

/// A notifier that posts to the webhook and gives up after three attempts.
async fn notifier(system: &System, hook: &Hook) -> anyhow::Result<Running> {
    let nats = system.connect().await?;
    let args = notifier::Args {
        notifier_file: system.notices(),
        notifier_webhook: Some(hook.url.clone()),
    };
    let (first, max, limit) = (Duration::from_millis(10), Duration::from_millis(50), 3);
    let worker = notifier::worker(args, nats.clone())
        .await?
        .retrying(Retry { first, max, limit });
    system.start_worker(worker, nats).await
}
