//! What happens now, for every live stream of this gateway, from one reader of the journal.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jetsaga::{
    Nats, anyhow,
    engine::{Entry, Feed, JournalInfo},
};
use tokio::sync::{broadcast, watch};

use crate::app::stopped;

/// Tells every stream what happens. Streams share one consumer of the journal, however many there are.
pub(crate) struct Hub {
    happening: broadcast::Sender<Arc<Entry>>,
    recent: Arc<Mutex<Recent>>,
}

/// The last events that were told.
struct Recent {
    entries: VecDeque<Arc<Entry>>,
    /// Everything after this sequence that was told is in `entries`.
    from: u64,
}

/// What a stream hears from now on.
pub(crate) struct Followed {
    /// What was told lately, oldest first.
    pub(crate) recent: VecDeque<Arc<Entry>>,
    /// What is told from now on. A stream that falls too far behind is told so, and ends.
    pub(crate) happening: broadcast::Receiver<Arc<Entry>>,
}

/// Events that are remembered, and that a stream may be behind.
const REMEMBERED: usize = 2048;

impl Hub {
    /// Reads the journal from its end until `stop`.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn start(nats: &Nats, mut stop: watch::Receiver<bool>) -> anyhow::Result<Self> {
        let last = JournalInfo::read(nats).await?.last;
        let mut feed = Feed::open(nats, &[], last).await?;
        let (happening, _) = broadcast::channel(REMEMBERED);
        let recent = Arc::new(Mutex::new(Recent {
            entries: VecDeque::new(),
            from: last,
        }));
        let (told, remembered) = (happening.clone(), recent.clone());
        tokio::spawn(async move {
            loop {
                let entries = tokio::select! {
                    entries = feed.batch(REMEMBERED) => entries,
                    () = stopped(&mut stop) => return,
                };
                let mut recent = lock(&remembered);
                for entry in entries.into_iter().map(Arc::new) {
                    recent.keep(entry.clone());
                    drop(told.send(entry)); // nobody may be listening
                }
            }
        });
        Ok(Self { happening, recent })
    }

    /// What was told lately, and from now on: nothing lies between the two.
    pub(crate) fn follow(&self) -> Followed {
        self.followed(&lock(&self.recent))
    }

    /// The same, if it contains everything after this sequence.
    pub(crate) fn follow_after(&self, sequence: u64) -> Option<Followed> {
        let recent = lock(&self.recent);
        (sequence >= recent.from).then(|| self.followed(&recent))
    }

    fn followed(&self, recent: &Recent) -> Followed {
        Followed {
            recent: recent.entries.clone(),
            happening: self.happening.subscribe(),
        }
    }
}

impl Recent {
    fn keep(&mut self, entry: Arc<Entry>) {
        self.entries.push_back(entry);
        if self.entries.len() > REMEMBERED
            && let Some(oldest) = self.entries.pop_front()
        {
            self.from = oldest.sequence;
        }
    }
}

fn lock(recent: &Mutex<Recent>) -> MutexGuard<'_, Recent> {
    recent.lock().unwrap_or_else(PoisonError::into_inner)
}
