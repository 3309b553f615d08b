use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

use crate::fact::{Entry, Fact};
use crate::key::Key;
use crate::order::{Order, Refund};
use crate::refusal::Refusal;

/// The ledger in memory: the fold of its entries, and every decision on top of
/// it. Pure: no clock, no file, no lock.
#[derive(Debug, Default)]
pub(crate) struct Book {
    entries: Vec<Arc<Entry>>,
    by_key: HashMap<Key, Arc<Entry>>,
    /// Minor units given back, by the key of the charge.
    refunded: HashMap<Key, u64>,
    totals: Totals,
}

/// Sums over the ledger, in minor units, and counts of keys by outcome.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Totals {
    /// Over all currencies; `by_currency` tells them apart.
    charged: u64,
    refunded: u64,
    by_currency: BTreeMap<String, Sums>,
    charges: u64,
    refunds: u64,
    pub(crate) keys: KeyCounts,
    /// The number of entries, which is the last `seq`.
    entries: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Sums {
    charged: u64,
    refunded: u64,
}

/// How many keys have which outcome, refunds included.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct KeyCounts {
    succeeded: u64,
    declined: u64,
    forbidden: u64,
    /// Filled in by the holder of the requests: the book knows of none.
    pub(crate) in_flight: u64,
}

/// What to do with a request.
#[derive(Debug)]
pub(crate) enum Decision {
    /// The key has its outcome already: answer it again.
    Replay(Arc<Entry>),
    /// Append this fact, then answer it.
    Append(Fact),
}

impl Book {
    /// Decides a request; `declined` says whether the card refuses this charge.
    ///
    /// # Errors
    /// `key_forbidden`, `idempotency_key_reuse`, `no_such_charge` or
    /// `refund_exceeds_charge`; nothing is to be recorded then.
    pub(crate) fn decide(&self, order: &Order, declined: bool) -> Result<Decision, Refusal> {
        if let Some(entry) = self.outcome_for(order)? {
            return Ok(Decision::Replay(entry));
        }
        Ok(Decision::Append(match order {
            Order::Charge(charge) if declined => Fact::Declined(charge.clone()),
            Order::Charge(charge) => Fact::Charged(charge.clone()),
            Order::Refund(refund) => self.decide_refund(refund)?,
        }))
    }

    /// The outcome which `order` is to get again, if its key has one.
    ///
    /// # Errors
    /// `key_forbidden`, or `idempotency_key_reuse` if the outcome belongs to
    /// another request.
    pub(crate) fn outcome_for(&self, order: &Order) -> Result<Option<Arc<Entry>>, Refusal> {
        let Some(entry) = self.by_key.get(order.key()) else {
            return Ok(None);
        };
        let fingerprint = match &entry.fact {
            Fact::Forbidden { key } => return Err(Refusal::KeyForbidden(key.clone())),
            Fact::Charged(charge) | Fact::Declined(charge) => &charge.fingerprint,
            Fact::Refunded(refund) => &refund.fingerprint,
        };
        if fingerprint != order.fingerprint() {
            return Err(Refusal::KeyReuse(order.key().clone()));
        }
        Ok(Some(Arc::clone(entry)))
    }

    /// Decides to settle `key`: its outcome if there is one, or that it is
    /// forbidden to ever have one.
    pub(crate) fn decide_settle(&self, key: &Key) -> Decision {
        match self.by_key.get(key) {
            Some(entry) => Decision::Replay(Arc::clone(entry)),
            None => Decision::Append(Fact::Forbidden { key: key.clone() }),
        }
    }

    fn decide_refund(&self, refund: &Refund) -> Result<Fact, Refusal> {
        let charged = match self.by_key.get(&refund.charge_key).map(|entry| &entry.fact) {
            Some(Fact::Charged(charge)) => charge.amount,
            Some(Fact::Declined(_) | Fact::Refunded(_) | Fact::Forbidden { .. }) | None => {
                return Err(Refusal::NoSuchCharge(refund.charge_key.clone()));
            }
        };
        let refunded = self.refunded.get(&refund.charge_key).copied().unwrap_or(0);
        let left = charged.saturating_sub(refunded);
        if refund.amount > left {
            let charge_key = refund.charge_key.clone();
            return Err(Refusal::RefundExceedsCharge {
                charge_key,
                asked: refund.amount,
                left,
            });
        }
        Ok(Fact::Refunded(refund.clone()))
    }

    /// The entry which `fact` becomes if it is appended next, at `at` (in
    /// milliseconds since the Unix epoch).
    pub(crate) fn next_entry(&self, at: u64, fact: Fact) -> Entry {
        Entry {
            seq: self.totals.entries + 1,
            at,
            fact,
        }
    }

    /// Folds one entry in.
    ///
    /// # Errors
    /// Says what is wrong, and changes nothing, if `entry` could not have been
    /// decided here: a gap in `seq`, a second outcome of a key, a refund of
    /// nothing or of too much.
    pub(crate) fn apply(&mut self, entry: Entry) -> Result<Arc<Entry>, String> {
        let expected = self.totals.entries + 1;
        if entry.seq != expected {
            return Err(format!("seq is {}: expected {expected}", entry.seq));
        }
        if self.by_key.contains_key(entry.fact.key()) {
            return Err(format!("key {} has an outcome already", entry.fact.key()));
        }
        match &entry.fact {
            Fact::Charged(charge) => self.totals.charge(&charge.currency, charge.amount),
            Fact::Declined(_) => self.totals.keys.declined += 1,
            Fact::Refunded(refund) => {
                self.decide_refund(refund)
                    .map_err(|refusal| refusal.to_string())?;
                self.apply_refund(refund);
            }
            Fact::Forbidden { .. } => self.totals.keys.forbidden += 1,
        }
        self.totals.entries = entry.seq;
        let entry = Arc::new(entry);
        self.by_key.insert(entry.fact.key().clone(), Arc::clone(&entry));
        self.entries.push(Arc::clone(&entry));
        Ok(entry)
    }

    fn apply_refund(&mut self, refund: &Refund) {
        *self.refunded.entry(refund.charge_key.clone()).or_default() += refund.amount;
        if let Some(Fact::Charged(charge)) = self.by_key.get(&refund.charge_key).map(|entry| &entry.fact) {
            self.totals.refund(&charge.currency, refund.amount);
        }
    }

    /// The outcome of a key.
    pub(crate) fn outcome(&self, key: &Key) -> Option<Arc<Entry>> {
        self.by_key.get(key).map(Arc::clone)
    }

    /// The entries whose `seq` is greater than `after`, in order.
    pub(crate) fn entries_after(&self, after: u64) -> Vec<Arc<Entry>> {
        let skip = usize::try_from(after).unwrap_or(usize::MAX);
        self.entries.get(skip..).unwrap_or_default().to_vec()
    }

    /// The sums so far.
    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }
}

impl Totals {
    fn charge(&mut self, currency: &str, amount: u64) {
        self.charged += amount;
        self.by_currency.entry(currency.to_owned()).or_default().charged += amount;
        self.charges += 1;
        self.keys.succeeded += 1;
    }

    fn refund(&mut self, currency: &str, amount: u64) {
        self.refunded += amount;
        self.by_currency.entry(currency.to_owned()).or_default().refunded += amount;
        self.refunds += 1;
        self.keys.succeeded += 1;
    }
}
