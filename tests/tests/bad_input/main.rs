//! What the world may write to the inbox by mistake or malice: each is one dead letter that says what is wrong, and
//! nothing else.

mod table;

use std::collections::BTreeMap;

use jetsaga_tests::harness::{Role, System, order};

const CREATED: &str = "in.checkout.OrderCreated";

/// What would steer a stream, the bucket or a worker, if anybody copied or believed it.
const HEADERS: [(&str, &str); 13] = [
    ("Nats-Rollup", "all"),
    ("KV-Operation", "DEL"),
    ("Nats-Expected-Last-Subject-Sequence", "0"),
    ("Nats-Expected-Last-Sequence", "7"),
    ("Nats-Expected-Stream", "EVENTS"),
    ("Nats-Msg-Id", "1"),
    ("Nats-TTL", "1s"),
    ("Nats-Schedule", "@at 2030-01-01T00:00:00Z"),
    ("Jetsaga-Stream", "TIMERS"),
    ("Jetsaga-Stream", "EVENTS"),
    ("Jetsaga-Sequence", "1"),
    ("Jetsaga-Attempt", "4000000000"),
    ("Jetsaga-Since", "2000-01-01T00:00:00Z"),
];

/// Where an answer would be an event, an order, or the end of a stream.
const REPLIES: [&str; 12] = [
    "evt.checkout.OrderShipped.ORD-0",
    "evt.>",
    "$JS.API.STREAM.PURGE.LETTERS",
    "$JS.API.STREAM.DELETE.SEEN",
    "in.checkout.OrderCreated",
    "timer.checkout.ORD-0.deadline",
    "_INBOX.",
    "_INBOX.*",
    "_INBOX.>",
    "_INBOX.a b",
    "_INBOX",
    "",
];

#[tokio::test]
async fn every_bad_message_is_one_letter_that_says_why_and_leaves_nothing_behind() {
    let system = System::bare().await.unwrap();
    let cases = table::cases().unwrap();
    let mut placed = BTreeMap::new();
    for case in &cases {
        let sequence = system.publish(case.subject, case.body.clone()).await.unwrap();
        placed.insert(sequence, case);
    }
    let _worker = system.start(Role::Order).await.unwrap();
    let letters = system.until_letters(cases.len()).await.unwrap();
    system.until_idle().await.unwrap();

    for letter in &letters {
        let case = placed.remove(&letter.stream_sequence).unwrap();
        let shown = format!("{} {} for {:.300}", letter.reason, letter.detail, letter.body);
        assert_eq!(
            (letter.subject.as_str(), letter.reason.as_str()),
            (case.subject, case.reason),
            "{shown}"
        );
        for part in &case.says {
            assert!(letter.detail.contains(part), "{part:?} is not in {shown}");
        }
        assert_eq!(letter.bytes, case.body, "the letter keeps what was published");
    }
    assert_eq!(
        system.journal_end().await.unwrap(),
        0,
        "nothing is stored in the journal"
    );

    system.place(&order("BAD")).await.unwrap();
    system
        .until("BAD", "let in", |state| state.events == 1)
        .await
        .unwrap();
}

#[tokio::test]
async fn headers_from_outside_never_reach_an_event_or_steer_the_worker() {
    let system = System::bare().await.unwrap();
    let _worker = system.start(Role::Order).await.unwrap();
    system.place(&order("VICTIM")).await.unwrap();
    system.until("VICTIM", "let in", |_| true).await.unwrap();
    let mut stored = Vec::new();
    for (n, (name, value)) in HEADERS.into_iter().enumerate() {
        let id = format!("ORD-{n}");
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(name, value);
        headers.insert("Jetsaga-Subject", "due.checkout.VICTIM.deadline");
        match system
            .publish_with(CREATED, headers, order(&id).to_string())
            .await
        {
            Ok(_) => stored.push(id),
            // The inbox itself refuses what it is not made for.
            Err(error) => assert!(name.starts_with("Nats-"), "{name}: {error}"),
        }
    }
    for id in &stored {
        system.until(id, "let in", |_| true).await.unwrap();
    }
    system.until_idle().await.unwrap();
    assert_eq!(
        system.history("VICTIM").await.unwrap().len(),
        1,
        "nobody has ended its deadline"
    );
    assert!(system.letters.list().await.unwrap().is_empty());

    let ours = [
        "Nats-Expected-Last-Subject-Sequence",
        "Nats-Expected-Last-Subject-Sequence-Subject",
    ];
    let events = system.raw_events().await.unwrap();
    assert_eq!(events.len(), stored.len() + 1);
    for event in events {
        for (name, values) in event.headers.iter() {
            let name: &str = name.as_ref();
            assert!(
                ours.contains(&name) || name == "traceparent",
                "{}: {name} {values:?}",
                event.subject
            );
        }
        assert_eq!(event.headers.get(ours[0]).map(|value| value.as_str()), Some("0"));
    }
}

#[tokio::test]
async fn an_answer_goes_to_an_inbox_and_nowhere_else() {
    let system = System::bare().await.unwrap();
    let _worker = system.start(Role::Order).await.unwrap();
    for (n, reply) in REPLIES.into_iter().enumerate() {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Jetsaga-Reply", reply);
        let order = order(&format!("ORD-{n}")).to_string();
        system.publish_with(CREATED, headers, order).await.unwrap();
        system
            .until(&format!("ORD-{n}"), "let in", |_| true)
            .await
            .unwrap();
    }
    // An answer of its own comes after all of those would have.
    assert_eq!(system.ask(&order("ORD-LAST")).await.unwrap()["ok"], true);
    system.until_idle().await.unwrap();

    let expected = REPLIES.len() as u64 + 1;
    assert_eq!(
        system.journal_end().await.unwrap(),
        expected,
        "one event for each order"
    );
    assert!(
        system.letters.list().await.unwrap().is_empty(),
        "nothing else came to the inbox"
    );
    let inbox = system.js.get_stream("INBOX").await.unwrap();
    assert_eq!(inbox.cached_info().state.last_sequence, expected);
    let marks = system.js.get_stream("SEEN").await.unwrap();
    assert_eq!(marks.cached_info().state.messages, expected);
}

#[tokio::test]
async fn poison_in_the_journal_itself_stops_nobody() {
    let (system, _workers) = System::checkout().await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    system.until_final("ORD-1").await.unwrap();
    let borrowed = system.raw_events().await.unwrap();
    let borrowed = borrowed
        .iter()
        .find(|event| event.subject == "evt.checkout.OrderCreated.ORD-1");
    let bodies = [
        "hello".to_owned(),
        "{}".to_owned(),
        borrowed.unwrap().body.clone(),
    ];
    for (n, body) in bodies.into_iter().enumerate() {
        system
            .publish(&format!("evt.checkout.OrderCreated.X-{n}"), body)
            .await
            .unwrap();
    }
    // Everybody whom the start concerns; shipping waits for others and does not hear it.
    let letters = system.until_letters(9).await.unwrap();
    for consumer in ["checkout-payment", "checkout-inventory", "checkout-owner"] {
        let theirs = letters.iter().filter(|letter| letter.consumer == consumer);
        let subjects: Vec<_> = theirs
            .map(|letter| letter.subject.rsplit('.').next().unwrap())
            .collect();
        assert_eq!(subjects.len(), 3, "{consumer} buries {subjects:?}");
    }
    for letter in &letters {
        assert_eq!(
            (letter.reason.as_str(), letter.stream.as_str()),
            ("undecodable", "EVENTS")
        );
    }

    system.place(&order("ORD-2")).await.unwrap();
    system.until_final("ORD-2").await.unwrap();
    system.until_idle().await.unwrap();
    // An order with the id of a poisoned entity is told so; it does not take anything down.
    let answer = system.ask(&order("X-0")).await.unwrap();
    assert_eq!(answer["ok"], false, "{answer}");
}
