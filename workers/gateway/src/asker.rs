use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use futures_util::StreamExt as _;
use jetsaga::{
    AppendError, Nats, anyhow,
    engine::{Publishing, REPLY, broker::Link},
};
use serde::Deserialize;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use crate::problem::{Code, Problem};

/// Writes to the inbox and hears what the owner says about it. One subscription for the whole process.
pub(crate) struct Asker {
    link: Link,
    inbox: String,
    asked: AtomicU64,
    waiting: Arc<Waiting>,
    listening: JoinHandle<()>,
}

/// What a saga's owner says about an inbound message.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Reply {
    pub(crate) ok: bool,
    pub(crate) sequence: Option<u64>,
    pub(crate) reason: Option<String>,
    pub(crate) detail: Option<String>,
}

/// Those who wait, by the last token of their reply subject.
#[derive(Default)]
struct Waiting(Mutex<HashMap<String, oneshot::Sender<Reply>>>);

/// One who waits; stops when it is dropped.
struct Waiter<'a> {
    waiting: &'a Waiting,
    token: String,
}

/// How often a message is offered to the inbox.
const OFFERS: usize = 2;

impl Asker {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the connection is closed.
    pub(crate) async fn start(nats: &Nats) -> anyhow::Result<Self> {
        let inbox = nats.client.new_inbox();
        let mut answers = nats.client.subscribe(format!("{inbox}.*")).await?;
        let waiting = Arc::new(Waiting::default());
        let told = waiting.clone();
        let listening = tokio::spawn(async move {
            while let Some(answer) = answers.next().await {
                let token = answer.subject.rsplit('.').next().unwrap_or_default();
                let waits = told.lock().remove(token);
                if let (Some(waits), Ok(reply)) = (waits, serde_json::from_slice(&answer.payload)) {
                    drop(waits.send(reply)); // it may have stopped waiting
                }
            }
        });
        Ok(Self {
            link: nats.link(),
            inbox,
            asked: AtomicU64::new(0),
            waiting,
            listening,
        })
    }

    /// Publishes `body` to the inbox and waits for the owner's answer; `None` if there is none within `limit`. The
    /// inbox has the message then, and it will be dealt with.
    ///
    /// # Errors
    /// When the inbox will not have it, or nobody knows whether it has.
    pub(crate) async fn ask(
        &self,
        subject: String,
        mut headers: HeaderMap,
        body: Bytes,
        limit: Duration,
    ) -> Result<Option<Reply>, Problem> {
        let token = self.asked.fetch_add(1, Ordering::Relaxed).to_string();
        let reply = format!("{}.{token}", self.inbox);
        let reply = reply
            .parse::<HeaderValue>()
            .map_err(|error| Problem::internal(&error))?;
        headers.insert(REPLY, reply);
        let (waits, answer) = oneshot::channel();
        self.waiting.lock().insert(token.clone(), waits);
        let _waiter = Waiter {
            waiting: &self.waiting,
            token,
        };
        self.offer(&subject, &headers, &body).await?;
        Ok(timeout(limit, answer).await.ok().and_then(Result::ok))
    }

    async fn offer(&self, subject: &str, headers: &HeaderMap, body: &Bytes) -> Result<(), Problem> {
        let mut unknown = String::new();
        for _ in 0..OFFERS {
            let mut headers = headers.clone();
            let publishing = Publishing::begin(subject, &mut headers);
            let offer = self
                .link
                .broker
                .publish(subject.to_owned(), headers, body.clone());
            let answer = offer.await;
            publishing.end(answer.as_ref());
            match answer {
                Ok(_) => return Ok(()),
                Err(AppendError::Refused { code: TOO_LARGE, .. }) => {
                    return Err(Problem::new(
                        Code::BodyTooLarge,
                        "the message is too large for the inbox",
                    ));
                }
                Err(error @ AppendError::Refused { .. }) => return Err(Problem::unavailable(&error)),
                Err(error) => unknown = error.to_string(),
            }
        }
        Err(Problem::unavailable(&unknown))
    }
}

/// The error by which a stream refuses what is too large for it.
const TOO_LARGE: u64 = 10054;

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Reply>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.token);
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
