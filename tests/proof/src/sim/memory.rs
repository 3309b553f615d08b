use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::jetstream::AckKind;
use engine::{
    broker::{Acker, Asked},
    now,
};
use saga::Timestamp;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::{Dice, Fault, Mishaps, Port, Server, Story};

/// A broker that keeps everything in memory, in the time of tokio's clock. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    server: Mutex<Server>,
    mishaps: Mutex<Mishaps>,
    story: Story,
    /// Something happened that may have consequences.
    changed: Notify,
}

impl Memory {
    /// A broker in front of this server, whose users meet these mishaps.
    pub fn new(server: Server, mishaps: Mishaps, story: Story) -> Self {
        Self(Arc::new(Shared {
            server: Mutex::new(server),
            mishaps: Mutex::new(mishaps),
            story,
            changed: Notify::new(),
        }))
    }

    /// A way in for one user.
    pub fn port(&self, who: &str) -> Arc<Port> {
        Arc::new(Port::new(self.clone(), who))
    }

    /// The server, as it is now.
    pub fn server(&self) -> MutexGuard<'_, Server> {
        let mut server = self.0.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.advance(now());
        server
    }

    /// What goes wrong.
    pub fn mishaps(&self) -> MutexGuard<'_, Mishaps> {
        self.0.mishaps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happened.
    pub fn story(&self) -> &Story {
        &self.0.story
    }

    /// True if `fault` strikes now.
    pub fn strikes(&self, fault: Fault) -> bool {
        self.mishaps().strikes(fault, now())
    }

    /// Throws the dice.
    pub fn throw<T>(&self, throw: impl FnOnce(&mut Dice) -> T) -> T {
        throw(self.mishaps().dice())
    }

    /// A message is on its way.
    pub async fn travel(&self) {
        let way = self.mishaps().way(now());
        sleep(way).await;
    }

    /// Returns when something has changed, or changes by itself.
    pub async fn changed(&self) {
        let next = self.server().next_change(now());
        let pause = next.map(|next| sleep_until(instant(next)));
        tokio::select! {
            biased;
            () = self.0.changed.notified() => {}
            () = async { match pause { Some(pause) => pause.await, None => std::future::pending().await } } => {}
        }
    }

    /// Says that something has changed.
    pub fn touch(&self) {
        self.0.changed.notify_one();
    }
}

/// The answer of one user for one message.
#[derive(Debug)]
pub struct Answerer {
    /// Who answers.
    pub port: Arc<Port>,
    /// The place of the consumer.
    pub consumer: usize,
    /// The message.
    pub sequence: u64,
}

impl Acker for Answerer {
    fn answer(&self, kind: AckKind) -> Asked<'_, Result<(), String>> {
        Box::pin(async move {
            let memory = self.port.memory().clone();
            let (consumer, sequence) = (self.consumer, self.sequence);
            let is_word = !matches!(kind, AckKind::Progress);
            let is_lost = self.port.is_cut_off() || (is_word && memory.strikes(Fault::AckLost));
            memory.story().note(self.port.who(), || {
                let lost = if is_lost { ", which is lost" } else { "" };
                let name = memory.server().consumer(consumer).0.to_owned();
                format!("answers {kind:?} for {sequence} of {name}{lost}")
            });
            if !is_lost {
                tokio::spawn(async move {
                    memory.travel().await;
                    memory.server().answer(consumer, sequence, kind, now());
                    memory.touch();
                });
            }
            Ok(())
        })
    }
}

/// The moment of tokio's clock that is `time`.
pub(super) fn instant(time: Timestamp) -> Instant {
    Instant::now() + time.since(now())
}
