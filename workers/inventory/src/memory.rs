use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use checkout::stock::{Append, Key, Observed, Seen};

/// What the leader showed or acknowledged last to this process of each decider: reservations and adjustments. It may be
/// stale; it serves only where the protocol takes whatever the leader ever showed. Products are not remembered: with several replicas
/// each would meet the other's guard, and a conflict costs more than a read.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<HashMap<Key, Observed>>);

/// Entities remembered at most; beyond it all are forgotten. About 1 KB each.
const ENTITIES: usize = 8192;

impl Memory {
    pub(crate) fn recall(&self, key: &Key) -> Option<Observed> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    /// Keeps what was read. That a decider has no event is not kept: its first one may come from elsewhere.
    pub(crate) fn keep(&self, key: &Key, seen: &Observed) {
        let exists = matches!(
            seen,
            Observed::Reservation(Some(_)) | Observed::Adjustment(Some(_))
        );
        if !exists {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= ENTITIES {
            known.clear();
        }
        known.insert(key.clone(), seen.clone());
    }

    /// Keeps what was written.
    pub(crate) fn wrote(&self, append: &Append, sequence: u64) {
        let written = match append {
            Append::Product(_) => return,
            Append::Reservation(write) => write.after().map(|state| {
                (
                    Key::Reservation(write.id.clone()),
                    Observed::Reservation(Some(Seen { state, sequence })),
                )
            }),
            Append::Adjustment(write) => write.after().map(|state| {
                (
                    Key::Adjustment(write.id.clone()),
                    Observed::Adjustment(Some(Seen { state, sequence })),
                )
            }),
        };
        if let Ok((key, seen)) = written {
            self.keep(&key, &seen);
        }
    }
}
