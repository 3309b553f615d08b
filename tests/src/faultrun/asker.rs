use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use async_nats::{Client, HeaderMap};
use futures_util::StreamExt as _;
use jetsaga::now;
use serde_json::Value;
use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    history::{Line, Message, Outcome},
    site::{Site, connect, publish},
};

/// Asks the system as any NATS client would, and keeps the history of what was asked and answered.
pub(super) struct Asker {
    inbox: String,
    asked: AtomicU64,
    steady: Lane,
    flood: Lane,
    waiting: Arc<Waiting>,
    history: Mutex<Vec<Line>>,
    _listening: JoinSet<()>,
}

/// A client of the inbox: what one of them publishes does not stand behind what another does.
struct Lane {
    client: Client,
    publishing: Semaphore,
}

/// Those who wait for an answer, by the last token of their reply subject.
type Waiting = Mutex<HashMap<String, oneshot::Sender<Value>>>;

/// How long a message is offered to the inbox again and again, under the same event id.
const OFFERED: Duration = Duration::from_secs(60);
/// How long an answer is awaited after the inbox has the message.
const ANSWERED: Duration = Duration::from_secs(30);
/// Publishes at once. More of them do not fill the inbox faster on two cores: they wait in the server, before everything
/// else.
const PUBLISHES: usize = 64;
/// The error by which a stream refuses what is too large for it.
const TOO_LARGE: u64 = 10054;

impl Asker {
    /// Listens for answers from now on.
    ///
    /// # Errors
    /// When the connection is closed.
    pub(super) async fn start(site: &Arc<Site>) -> Result<Arc<Self>> {
        let inbox = site.client.new_inbox();
        let mut answers = site.client.subscribe(format!("{inbox}.*")).await?;
        let waiting = Arc::new(Waiting::default());
        let mut listening = JoinSet::new();
        let told = waiting.clone();
        listening.spawn(async move {
            while let Some(answer) = answers.next().await {
                let token = answer.subject.rsplit('.').next().unwrap_or_default().to_owned();
                let waits = told.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
                if let (Some(waits), Ok(answer)) = (waits, serde_json::from_slice(&answer.payload)) {
                    drop(waits.send(answer)); // it may have stopped waiting
                }
            }
        });
        Ok(Arc::new(Self {
            inbox,
            asked: AtomicU64::new(0),
            steady: Lane::new(site.client.clone()),
            flood: Lane::new(connect(&site.cluster).await?),
            waiting,
            history: Mutex::default(),
            _listening: listening,
        }))
    }

    /// Publishes a message to the inbox, again after a failure that leaves it open, waits for the order worker's
    /// answer, and writes both down.
    pub(super) async fn ask(&self, message: Message) -> Outcome {
        self.ask_by(&self.steady, message).await
    }

    /// The same by a client of its own, whose messages stand in no other's way before the inbox has them.
    pub(super) async fn flood(&self, message: Message) -> Outcome {
        self.ask_by(&self.flood, message).await
    }

    async fn ask_by(&self, lane: &Lane, message: Message) -> Outcome {
        let token = self.asked.fetch_add(1, Ordering::Relaxed).to_string();
        let (waits, answer) = oneshot::channel();
        self.waiting().insert(token.clone(), waits);
        let asked_at = now();
        let stored = self.offer(lane, &message, &token).await;
        let answer = match stored {
            Ok(true) => timeout(ANSWERED, answer).await.ok().and_then(Result::ok),
            Ok(false) | Err(()) => None,
        };
        self.waiting().remove(&token);
        let outcome = match (&answer, stored) {
            (Some(answer), _) if answer["ok"] == true => Outcome::Ok,
            (Some(_), _) => Outcome::Refused,
            (None, Ok(false)) => Outcome::Failed,
            (None, _) => Outcome::Unknown,
        };
        let line = Line {
            order_id: message.order_id,
            event_id: message.event_id,
            event_type: message.event_type,
            asked_at,
            answered_at: answer.as_ref().map(|_| now()),
            outcome,
            sequence: answer.and_then(|answer| answer["sequence"].as_u64()),
            expected: message.expected,
            stored: stored == Ok(true),
        };
        self.history().push(line);
        outcome
    }

    /// All that was asked until now.
    pub(super) fn lines(&self) -> Vec<Line> {
        self.history().clone()
    }

    /// True if the inbox has the message, false if it will not have it; `Err` if nobody knows.
    async fn offer(&self, lane: &Lane, message: &Message, token: &str) -> Result<bool, ()> {
        let subject = format!("in.checkout.{}", message.event_type);
        let mut headers = HeaderMap::new();
        headers.insert("Jetsaga-Reply", format!("{}.{token}", self.inbox));
        let deadline = Instant::now() + OFFERED;
        while Instant::now() < deadline {
            let Ok(permit) = lane.publishing.acquire().await else {
                return Err(());
            };
            let answer = publish(&lane.client, &subject, headers.clone(), message.body.clone()).await;
            drop(permit);
            match answer {
                Ok(_) => return Ok(true),
                Err(refusal) if refusal.code == TOO_LARGE => return Ok(false),
                Err(_) => sleep(Duration::from_millis(300)).await,
            }
        }
        Err(())
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Value>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn history(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    fn new(client: Client) -> Self {
        Self {
            client,
            publishing: Semaphore::new(PUBLISHES),
        }
    }
}
