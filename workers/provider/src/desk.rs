use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::book::{Book, Decision, Totals};
use crate::fact::{Entry, Fact, now_ms};
use crate::key::Key;
use crate::ledger::Ledger;
use crate::order::Order;
use crate::refusal::Refusal;

/// Where requests are decided: the book and its file under one lock, so the first
/// to append an outcome of a key wins. Nothing is awaited under the lock.
#[derive(Debug)]
pub(crate) struct Desk {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    book: Book,
    /// `None` once closed.
    ledger: Option<Ledger>,
    /// The keys with a request between its arrival and its commit. The sender of
    /// each is held by its request, so the end of the request wakes who waits.
    flights: HashMap<Key, watch::Receiver<()>>,
    /// Requests seen by key since the start of the process.
    attempts: HashMap<Key, u64>,
}

/// How a request got its outcome.
#[derive(Debug)]
pub(crate) struct Done {
    /// The outcome of its key.
    pub(crate) entry: Arc<Entry>,
    /// Whether an earlier request had it decided.
    pub(crate) replayed: bool,
}

/// What is known of a key.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It has its outcome.
    Final(Arc<Entry>),
    /// A request has not committed yet.
    InFlight,
}

/// A request which has its key to itself; the key is free again when it drops.
struct Flight<'a> {
    desk: &'a Desk,
    key: &'a Key,
    _landing: watch::Sender<()>,
}

enum Entered<'a> {
    Done(Done),
    Flying(Flight<'a>),
    Waiting(watch::Receiver<()>),
}

impl Desk {
    /// Opens for business with what the ledger holds.
    pub(crate) fn new(ledger: Ledger, book: Book) -> Self {
        let (flights, attempts) = (HashMap::new(), HashMap::new());
        Self {
            inner: Mutex::new(Inner {
                book,
                ledger: Some(ledger),
                flights,
                attempts,
            }),
        }
    }

    /// Counts one more attempt under `key`; the first gives 1.
    pub(crate) fn attempt(&self, key: &Key) -> u64 {
        let mut inner = self.lock();
        let attempts = inner.attempts.entry(key.clone()).or_default();
        *attempts += 1;
        *attempts
    }

    /// Brings a request to its outcome: waits up to `patience` while another
    /// request has the key, then takes the key for the time of `delay`, then
    /// commits. After `Ok`, the outcome is in the ledger file.
    ///
    /// # Errors
    /// `key_in_flight` after `patience`, or any refusal of the decision; nothing
    /// is recorded then.
    pub(crate) async fn fulfil(
        &self,
        order: &Order,
        declined: bool,
        delay: Duration,
        patience: Duration,
    ) -> Result<Done, Refusal> {
        let deadline = Instant::now() + patience;
        let _flight = loop {
            match self.enter(order)? {
                Entered::Done(done) => return Ok(done),
                Entered::Flying(flight) => break flight,
                Entered::Waiting(mut landed) => {
                    // An error of `changed` is the landing: the sender is gone.
                    if timeout_at(deadline, landed.changed()).await.is_err() {
                        return Err(Refusal::KeyInFlight(order.key().clone()));
                    }
                }
            }
        };
        if !delay.is_zero() {
            sleep(delay).await;
        }
        let mut inner = self.lock();
        let decision = inner.book.decide(order, declined)?;
        inner.commit(decision)
    }

    /// Makes the outcome of `key` final: what it is, or forbidden for ever. After
    /// `Ok`, it is in the ledger file, and no request still on its way can change
    /// it.
    ///
    /// # Errors
    /// `ledger_unavailable` or `shutting_down`.
    pub(crate) fn settle(&self, key: &Key) -> Result<Arc<Entry>, Refusal> {
        let mut inner = self.lock();
        let decision = inner.book.decide_settle(key);
        inner.commit(decision).map(|done| done.entry)
    }

    /// What is known of `key`, if anything.
    pub(crate) fn look_up(&self, key: &Key) -> Option<Standing> {
        let inner = self.lock();
        let in_flight = || inner.flights.contains_key(key).then_some(Standing::InFlight);
        inner.book.outcome(key).map(Standing::Final).or_else(in_flight)
    }

    /// The entries after `seq` `after`, in order.
    pub(crate) fn entries_after(&self, after: u64) -> Vec<Arc<Entry>> {
        self.lock().book.entries_after(after)
    }

    /// The sums of the ledger, and the keys in flight.
    pub(crate) fn totals(&self) -> Totals {
        let inner = self.lock();
        let mut totals = inner.book.totals().clone();
        let undecided = inner
            .flights
            .keys()
            .filter(|key| inner.book.outcome(key).is_none());
        totals.keys.in_flight = undecided.count() as u64;
        totals
    }

    /// Returns once no request is in flight.
    pub(crate) async fn all_landed(&self) {
        loop {
            let Some(mut landed) = self.lock().flights.values().next().cloned() else {
                return;
            };
            // An error of `changed` is the landing: the sender is gone.
            let _ = landed.changed().await;
        }
    }

    /// Closes the ledger file. Nothing is committed after this returns.
    pub(crate) fn close(&self) {
        self.lock().ledger = None;
    }

    fn enter<'a>(&'a self, order: &'a Order) -> Result<Entered<'a>, Refusal> {
        let mut inner = self.lock();
        if let Some(entry) = inner.book.outcome_for(order)? {
            return Ok(Entered::Done(Done {
                entry,
                replayed: true,
            }));
        }
        let key = order.key();
        if let Some(landed) = inner.flights.get(key) {
            return Ok(Entered::Waiting(landed.clone()));
        }
        let (landing, landed) = watch::channel(());
        inner.flights.insert(key.clone(), landed);
        Ok(Entered::Flying(Flight {
            desk: self,
            key,
            _landing: landing,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Writes what was decided to the file, then to the book.
    fn commit(&mut self, decision: Decision) -> Result<Done, Refusal> {
        match decision {
            Decision::Replay(entry) => Ok(Done {
                entry,
                replayed: true,
            }),
            Decision::Append(fact) => self.append(fact).map(|entry| Done {
                entry,
                replayed: false,
            }),
        }
    }

    fn append(&mut self, fact: Fact) -> Result<Arc<Entry>, Refusal> {
        let ledger = self.ledger.as_mut().ok_or(Refusal::ShuttingDown)?;
        let entry = self.book.next_entry(now_ms(), fact);
        ledger.append(&entry).map_err(|error| {
            tracing::error!(%error, key = %entry.fact.key(), "the ledger could not be written");
            Refusal::LedgerUnavailable
        })?;
        self.book.apply(entry).map_err(|wrong| {
            tracing::error!(wrong, "the ledger has an entry which the book refuses");
            Refusal::Internal
        })
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.desk.lock().flights.remove(self.key);
    }
}
