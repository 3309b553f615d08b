use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many letters one consumer writes at once. Poison in a burst gets no more of the machine than that, and what is
/// healthy gets the rest.
const WRITERS: usize = 8;
/// Beyond so many messages aside nothing new is begun.
const MOST: usize = 8192;
/// Beyond so many bytes aside nothing new is begun.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Messages of one consumer that wait to become dead letters. They hold no place among those in work, so that a burst of
/// poison does not keep healthy messages out; they are few, so that it does not fill the memory.
pub(crate) struct Aside {
    count: AtomicUsize,
    bytes: AtomicUsize,
    writers: Semaphore,
}

/// One message aside, until this is dropped.
pub(crate) struct SetAside<'a> {
    aside: &'a Aside,
    bytes: usize,
}

impl Aside {
    pub(crate) fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            writers: Semaphore::new(WRITERS),
        }
    }

    /// Sets a message of this size aside.
    pub(crate) fn put(&self, bytes: usize) -> SetAside<'_> {
        self.count.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        SetAside { aside: self, bytes }
    }

    /// How many are aside.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// True if nothing more may be set aside.
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= MOST || self.bytes.load(Relaxed) >= MOST_BYTES
    }
}

impl SetAside<'_> {
    /// Waits until a letter may be written, in the order of asking; it may be as long as the permit is held.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.aside.writers.acquire().await.ok() // never closed
    }
}

impl Drop for SetAside<'_> {
    fn drop(&mut self) {
        self.aside.count.fetch_sub(1, Relaxed);
        self.aside.bytes.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_by_count_and_by_bytes() {
        let aside = Aside::new();
        let large = aside.put(MOST_BYTES);
        assert!(aside.is_full());
        drop(large);
        assert!(!aside.is_full());
        let many: Vec<_> = (0..MOST).map(|_| aside.put(1)).collect();
        assert!(aside.is_full());
        drop(many);
        assert_eq!((aside.len(), aside.is_full()), (0, false));
    }
}
