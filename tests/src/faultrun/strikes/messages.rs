use std::{sync::Arc, time::Duration};

use anyhow::Result;
use async_nats::{HeaderMap, header};
use bytes::Bytes;
use serde_json::json;
use tokio::task::JoinSet;

use super::processes::note;
use crate::faultrun::{
    asker::Asker,
    history::{Expected, Message, Outcome},
    nemesis::Done,
    orders::{cancellation, plain},
    persist::persist,
    schedule::Fault,
    site::{Site, publish},
};

/// The messages of a burst.
const BURST: usize = 10_000;
/// How often a crowd places its one order.
const CROWD: usize = 200;
/// How often it asks to cancel it.
const CANCELLATIONS: usize = 5;
/// How long an administrator tries to write an event: the journal may be full for a while.
const WRITTEN: Duration = Duration::from_secs(120);

/// Messages that are no events, and events that are no orders.
pub(super) async fn corrupt(asker: &Arc<Asker>, fault: &Fault) -> Result<Done> {
    let garbage = (0..12).map(|n| poison(fault.dice, n));
    all(asker, garbage.collect()).await
}

/// Messages that are too large for the order worker, and messages that are too large for the inbox.
pub(super) async fn oversized(asker: &Arc<Asker>, fault: &Fault) -> Result<Done> {
    let large = |n: usize, size: usize| {
        let id = format!("LARGE-{}-{n}", fault.dice);
        let mut message = plain(fault.dice, &id)?;
        let mut body = message.body.to_vec();
        body.resize(size, b' ');
        message.body = body.into();
        message.expected = Expected::Bad;
        anyhow::Ok(message)
    };
    let messages = [
        large(0, 100_000)?,
        large(1, 200_000)?,
        large(2, 300_000)?,
        large(3, 600_000)?,
    ];
    all(asker, messages.to_vec()).await
}

/// Ten thousand messages that are no events, as fast as the inbox takes them.
pub(super) async fn burst(asker: &Arc<Asker>, fault: &Fault) -> Result<Done> {
    let poison = (0..BURST).map(|n| poison(fault.dice, n));
    let asked = poison.map(|message| {
        let asker = asker.clone();
        async move { asker.flood(message).await }
    });
    answers(asked.collect()).await
}

/// The same order two hundred times at once, and requests to cancel it in between.
pub(super) async fn crowd(asker: &Arc<Asker>, fault: &Fault) -> Result<Done> {
    let id = format!("CROWD-{}", fault.dice);
    let first = plain(fault.dice, &id)?;
    let again = Message {
        expected: Expected::Duplicate,
        ..first.clone()
    };
    let mut messages = vec![first];
    messages.extend((1..CROWD).map(|_| again.clone()));
    for n in 0..CANCELLATIONS {
        let place = CROWD / (CANCELLATIONS + 1) * (n + 1);
        messages.insert(place, cancellation(fault.dice, &id, n));
    }
    all(asker, messages).await
}

/// Events that are none, in the journal, under ids that belong to nobody.
pub(super) async fn corrupt_events(site: &Site, fault: &Fault) -> Result<Done> {
    let id = format!("POISON-{}", fault.dice);
    let without_state = json!({
        "eventId": "a1b2c3d4-e5f6-7890-1234-567890abcdef", "eventType": "PaymentProcessed",
        "timestamp": "2023-10-27T10:30:00Z", "payload": {"orderId": id},
    });
    let events = [
        ("OrderCreated", "garbage".to_owned()),
        ("PaymentProcessed", without_state.to_string()),
        ("OrderShipped", "{\"eventType\": 7}".to_owned()),
        ("OrderCancelled", String::from("[]")),
    ];
    for (n, (event_type, body)) in events.into_iter().enumerate() {
        let subject = format!("evt.checkout.{event_type}.{id}-{n}");
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
        persist("the event is written", WRITTEN, || async {
            let answer = publish(&site.client, &subject, headers.clone(), body.clone().into()).await;
            match answer {
                Err(refusal) if refusal.text.contains("wrong last sequence") => Ok(()),
                Err(refusal) => anyhow::bail!("{} ({})", refusal.text, refusal.code),
                Ok(_) => Ok(()),
            }
        })
        .await?;
    }
    Ok(Done::default())
}

/// One message of many forms, none of which is an event.
fn poison(dice: u64, n: usize) -> Message {
    let id = format!("POISON-{dice}-{n}");
    let body = match n % 4 {
        0 => format!("{id} is no JSON"),
        1 => json!({"eventType": "OrderCreated", "payload": {"orderId": id}}).to_string(),
        2 => format!("[\"{id}\"]"),
        _ => format!("{{\"eventId\": \"{id}\", \"eventType\": \"OrderCreated\""),
    };
    Message {
        order_id: id,
        event_id: None,
        event_type: "OrderCreated".to_owned(),
        body: Bytes::from(body),
        expected: Expected::Bad,
    }
}

/// Asks everything at once, and waits for all answers.
async fn all(asker: &Arc<Asker>, messages: Vec<Message>) -> Result<Done> {
    let asked = messages.into_iter().map(|message| {
        let asker = asker.clone();
        async move { asker.ask(message).await }
    });
    answers(asked.collect()).await
}

async fn answers(mut asked: JoinSet<Outcome>) -> Result<Done> {
    let (mut count, mut unknown) = (0, 0);
    while let Some(outcome) = asked.join_next().await {
        count += 1;
        unknown += usize::from(outcome? == Outcome::Unknown);
    }
    Ok(note(&format!("{count} messages, {unknown} without an answer")))
}
