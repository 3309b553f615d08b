use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::{HeaderMap, HeaderValue};
use checkout::books::{Answered, Expected, Request};
use engine::{AppendError, REPLY, broker::Broker as _, now, subject::EVENTS};
use saga::{EventId, Timestamp};
use serde_json::Value;
use tokio::{task::JoinSet, time::sleep};

use super::{Dice, Fault, Memory, Port, order::Wanted};

/// Everybody outside: who places orders and cancels them, twice, too late, or in bad faith. Cheap to clone.
#[derive(Clone, Debug)]
pub struct World {
    port: Arc<Port>,
    /// What was asked for, and what was heard.
    requests: Arc<Mutex<Vec<Request>>>,
}

/// The inbox of those who ask.
const INBOX: &str = "_INBOX.world.";

impl World {
    /// A world that has asked for nothing yet.
    pub fn new(memory: &Memory) -> Self {
        Self {
            port: memory.port("world"),
            requests: Arc::default(),
        }
    }

    /// Does everything that it does within `span`, and some of it a little later.
    pub async fn live(self, span: Duration) {
        let memory = self.port.memory().clone();
        let mut dice = memory.throw(Dice::another);
        let most = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let mut all = JoinSet::new();
        for number in 1..=dice.between(10, 14) {
            memory.mishaps().tally.orders += 1;
            let order = Wanted::some(&format!("ORD-{number}"), &mut dice);
            let pause = dice.millis(0, most);
            for (fault, per_mille) in [
                (Fault::Cancellation, 250),
                (Fault::DuplicateOrder, 150),
                (Fault::ConflictingOrder, 100),
                (Fault::TakenEventId, 80),
            ] {
                if dice.happens(per_mille) {
                    let earlier = pause.saturating_sub(Duration::from_millis(100));
                    let most = if dice.happens(300) { 5_000 } else { 400 };
                    let pause = earlier + dice.millis(0, most);
                    all.spawn(self.clone().annoys(fault, order.clone(), pause, dice.another()));
                }
            }
            all.spawn(self.clone().places(order, pause, dice.another()));
        }
        for number in 1..=dice.below(4) {
            let pause = dice.millis(0, most);
            all.spawn(self.clone().poisons(number, pause, dice.another()));
        }
        while all.join_next().await.is_some() {}
    }

    /// What was asked for, and what was heard by these answers.
    pub fn requests(&self, told: &[(String, bytes::Bytes)]) -> Vec<Request> {
        let mut requests = self.asked().clone();
        for (subject, body) in told {
            let number = subject
                .strip_prefix(INBOX)
                .and_then(|number| number.parse::<usize>().ok());
            let request = number.and_then(|number| requests.get_mut(number));
            let answer = serde_json::from_slice::<Value>(body).ok();
            let (Some(request), Some(answer)) = (request, answer) else {
                continue;
            };
            if answer["ok"] == true {
                (request.outcome, request.sequence) = (Answered::Ok, answer["sequence"].as_u64());
            } else if request.outcome != Answered::Ok {
                request.outcome = Answered::Refused;
            }
        }
        requests
    }

    /// Places an order, and places it again if nobody says that it arrived.
    async fn places(self, order: Wanted, pause: Duration, mut dice: Dice) {
        sleep(pause).await;
        let mut expected = Expected::Good;
        for _ in 0..4 {
            let event = order.event();
            let sent = self.sends(Some(&order.id), Some(order.event_id), &event, expected);
            if sent.await.is_ok() || dice.happens(300) {
                return;
            }
            expected = Expected::Duplicate;
            sleep(dice.millis(100, 3_000)).await;
        }
    }

    /// Does one of the things to an order that nobody likes.
    async fn annoys(self, fault: Fault, order: Wanted, pause: Duration, mut dice: Dice) {
        sleep(pause).await;
        let other = match fault {
            Fault::Cancellation => order.cancellation(),
            Fault::DuplicateOrder => order.event(),
            Fault::ConflictingOrder => order.conflicting(),
            _ => order.under_its_event_id(),
        };
        let is_bad = matches!(fault, Fault::ConflictingOrder | Fault::TakenEventId);
        if is_bad && !self.has(&order.id).await {
            return; // it would be the first, and the other one the fault
        }
        let expected = match fault {
            Fault::Cancellation => Expected::Good,
            Fault::DuplicateOrder => Expected::Duplicate,
            _ => Expected::Bad,
        };
        self.port.memory().mishaps().tally.fault(fault);
        let id = other["payload"]["orderId"].as_str().map(str::to_owned);
        let event_id = other["eventId"].as_str().and_then(|id| id.parse().ok());
        let sent = self.sends(id.as_deref(), event_id.map(EventId::new), &other, expected);
        if sent.await.is_err() && dice.happens(500) {
            let _ = self
                .sends(id.as_deref(), event_id.map(EventId::new), &other, expected)
                .await; // once more
        }
    }

    /// True once an order is in the journal; false if it does not come.
    async fn has(&self, id: &str) -> bool {
        let filter = format!("evt.checkout.*.{id}");
        for _ in 0..600 {
            let found = self
                .port
                .memory()
                .server()
                .last(EVENTS, &filter, now(), Duration::ZERO);
            if found.is_some() {
                return true;
            }
            sleep(Duration::from_millis(100)).await;
        }
        false
    }

    /// Writes what nobody can read: to the inbox, or, by a hole in the permissions, to the journal.
    async fn poisons(self, number: u64, pause: Duration, mut dice: Dice) {
        sleep(pause).await;
        if dice.happens(500) {
            let (subject, body) = super::order::junk(&mut dice);
            self.port.memory().mishaps().tally.fault(Fault::PoisonInInbox);
            let event = serde_json::from_str::<Value>(&body).ok();
            let event_id = event.and_then(|event| event["eventId"].as_str()?.parse().ok());
            let number = self.asks(None, event_id.map(EventId::new), "junk", Expected::Bad);
            let _ = self.publishes(subject, number, body).await; // it may be lost
        } else {
            let (subject, body) = super::order::forged(number, &mut dice);
            self.port.memory().mishaps().tally.fault(Fault::PoisonInJournal);
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Expected-Last-Subject-Sequence", HeaderValue::from(0_u64));
            let _ = self.port.publish(subject, headers, body.into()).await; // it may be lost
        }
    }

    async fn sends(
        &self,
        id: Option<&str>,
        event_id: Option<EventId>,
        event: &Value,
        expected: Expected,
    ) -> Result<u64, AppendError> {
        let event_type = event["eventType"].as_str().unwrap_or_default();
        let number = self.asks(id, event_id, event_type, expected);
        let subject = format!("in.checkout.{event_type}");
        self.publishes(subject, number, event.to_string()).await
    }

    async fn publishes(&self, subject: String, number: usize, body: String) -> Result<u64, AppendError> {
        let mut headers = HeaderMap::new();
        headers.insert(REPLY, format!("{INBOX}{number}"));
        self.port.publish(subject, headers, body.into()).await
    }

    /// Notes a request, and returns its number.
    fn asks(
        &self,
        id: Option<&str>,
        event_id: Option<EventId>,
        event_type: &str,
        expected: Expected,
    ) -> usize {
        let mut requests = self.asked();
        requests.push(Request {
            order_id: id.map(str::to_owned),
            event_id,
            event_type: event_type.to_owned(),
            asked_at: now(),
            answered_at: None::<Timestamp>,
            outcome: Answered::Unknown,
            sequence: None,
            expected,
        });
        requests.len() - 1
    }

    fn asked(&self) -> MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
