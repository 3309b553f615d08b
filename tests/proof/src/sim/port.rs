use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_nats::HeaderMap;
use bytes::Bytes;
use engine::{
    AppendError, ReadError,
    broker::{Asked, Broker, Source, Stored},
    now,
};
use saga::Timestamp;
use tokio::{
    sync::oneshot,
    time::{sleep, sleep_until, timeout},
};

use super::{Fault, Memory, Server, memory::instant};

/// How long a user waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// One user's way to the broker.
#[derive(Debug)]
pub struct Port {
    memory: Memory,
    who: String,
    cut_until: Mutex<Timestamp>,
    told: Mutex<Vec<(String, Bytes)>>,
}

/// What becomes of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It arrives, and is answered.
    Usual,
    /// It does not arrive.
    Lost,
    /// It arrives, and the answer is lost.
    Unheard,
    /// It arrives when nobody waits any more.
    Late(Duration),
}

impl Port {
    pub(super) fn new(memory: Memory, who: &str) -> Self {
        Self {
            memory,
            who: who.to_owned(),
            cut_until: Mutex::new(Timestamp::EPOCH),
            told: Mutex::default(),
        }
    }

    /// Whose it is.
    pub fn who(&self) -> &str {
        &self.who
    }

    /// Where it leads.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// For so long nothing comes through.
    pub fn cut_off(&self, pause: Duration) {
        *self.cut_until.lock().unwrap_or_else(PoisonError::into_inner) = now().after(pause);
    }

    /// True while nothing comes through.
    pub fn is_cut_off(&self) -> bool {
        now() < *self.cut_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plain messages that were sent here, with their subjects. They are told once.
    pub fn told(&self) -> Vec<(String, Bytes)> {
        std::mem::take(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn append(&self, subject: String, headers: HeaderMap, body: Bytes) -> Result<u64, AppendError> {
        let fate = self.fate();
        let name = self.memory.story().is_told().then(|| subject.clone());
        if let Some(name) = &name {
            self.memory
                .story()
                .note(&self.who, || format!("publishes {name}{fate}"));
        }
        let (tell, hear) = oneshot::channel();
        if fate == Fate::Lost {
            sleep(PATIENCE).await;
        } else {
            tokio::spawn(arrive(self.memory.clone(), (subject, headers, body), fate, tell));
        }
        let answer = match timeout(PATIENCE, hear).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(AppendError::Unknown("timed out".to_owned())),
        };
        match answer {
            Err(AppendError::InFlight) => self.memory.mishaps().tally.fault(Fault::Collided),
            Err(AppendError::Stale { .. }) => self.memory.mishaps().tally.fault(Fault::Outrun),
            _ => {}
        }
        if let Some(name) = name {
            self.memory.story().note(&self.who, || match &answer {
                Ok(sequence) => format!("hears of {name}: it is {sequence}"),
                Err(error) => format!("hears of {name}: {error}"),
            });
        }
        answer
    }

    /// What becomes of a publish.
    fn fate(&self) -> Fate {
        if self.is_cut_off() || self.memory.strikes(Fault::PublishLost) {
            Fate::Lost
        } else if self.memory.strikes(Fault::AnswerLost) {
            Fate::Unheard
        } else if self.memory.strikes(Fault::PublishLate) {
            Fate::Late(PATIENCE + self.memory.throw(|dice| dice.millis(1, 20_000)))
        } else {
            Fate::Usual
        }
    }

    async fn read<T>(&self, read: impl FnOnce(&Server) -> T) -> Result<T, ReadError> {
        self.memory.travel().await;
        if self.is_cut_off() || self.memory.strikes(Fault::ReadLost) {
            self.memory
                .story()
                .note(&self.who, || "reads and hears nothing".to_owned());
            sleep(PATIENCE).await;
            return Err(ReadError::Unavailable("timed out".to_owned()));
        }
        let found = read(&self.memory.server());
        self.memory.travel().await;
        Ok(found)
    }
}

/// A publish on its way, and then at the server, which answers once it is committed.
async fn arrive(
    memory: Memory,
    (subject, headers, body): (String, HeaderMap, Bytes),
    fate: Fate,
    tell: oneshot::Sender<Result<u64, AppendError>>,
) {
    if let Fate::Late(pause) = fate {
        sleep(pause).await;
    }
    memory.travel().await;
    let is_event = subject.starts_with("evt.");
    let taken = memory.server().publish(subject, headers, body, now());
    if let Ok((sequence, commits_at)) = &taken {
        let behind = is_event && memory.strikes(Fault::LeaderBehind);
        let shows_at = commits_at.after(memory.throw(|dice| dice.millis(10, 3_000)));
        if behind {
            memory.server().hide(*sequence, shows_at);
        }
        sleep_until(instant(*commits_at)).await;
        drop(memory.server()); // which sees to it
        memory.touch();
        if behind {
            sleep_until(instant(shows_at)).await; // what it acknowledges it shows
        }
    }
    memory.travel().await;
    if fate == Fate::Unheard {
        sleep(PATIENCE).await;
    }
    let _ = tell.send(taken.map(|(sequence, _)| sequence)); // nobody may wait any more
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => Ok(()),
            Self::Lost => f.write_str(", which does not arrive"),
            Self::Unheard => f.write_str(", of which nobody hears"),
            Self::Late(pause) => write!(f, ", {pause:?} late"),
        }
    }
}

impl Broker for Port {
    fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> Asked<'_, Result<u64, AppendError>> {
        Box::pin(self.append(subject, headers, body))
    }

    fn last<'a>(
        &'a self,
        stream: &'static str,
        filter: &'a str,
        from: Source,
    ) -> Asked<'a, Result<Option<Stored>, ReadError>> {
        Box::pin(self.read(move |server| {
            if from == Source::Leader {
                return server.shown(stream, filter, now());
            }
            let leader = server.last(stream, filter, now(), Duration::ZERO);
            let behind = self.memory.mishaps().behind(now());
            let found = server.last(stream, filter, now(), behind);
            let sequence = |stored: &Option<Stored>| stored.as_ref().map(|stored| stored.sequence);
            if sequence(&found) != sequence(&leader) {
                self.memory.mishaps().tally.fault(Fault::StaleRead);
                self.memory.story().note(&self.who, || {
                    format!("reads {filter} {behind:?} late, without its last event")
                });
            }
            found
        }))
    }

    fn at(&self, stream: &'static str, sequence: u64) -> Asked<'_, Result<Option<Stored>, ReadError>> {
        Box::pin(self.read(move |server| server.at(stream, sequence)))
    }

    fn next<'a>(
        &'a self,
        stream: &'static str,
        filter: &'a str,
        from: u64,
    ) -> Asked<'a, Result<Option<Stored>, ReadError>> {
        Box::pin(self.read(move |server| server.next(stream, filter, from)))
    }

    fn remove(&self, stream: &'static str, sequence: u64) -> Asked<'_, Result<(), ReadError>> {
        Box::pin(async move {
            self.memory.travel().await;
            let removed = self.memory.server().remove(stream, sequence);
            let gone = || ReadError::Unavailable("no message found".to_owned());
            removed.then_some(()).ok_or_else(gone)
        })
    }

    fn tell(&self, subject: String, body: Bytes) -> Asked<'_, Result<(), AppendError>> {
        Box::pin(async move {
            self.told
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((subject, body));
            Ok(())
        })
    }
}
