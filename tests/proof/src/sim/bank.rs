use std::collections::BTreeMap;

use checkout::books::Entry;

/// The payment provider's book, as a value: under one key there is one outcome for ever.
#[derive(Debug, Default)]
pub struct Bank {
    entries: Vec<Entry>,
    /// Each key's entry, and what was asked for under it.
    keys: BTreeMap<String, (usize, String)>,
}

/// What is asked of the provider.
#[derive(Clone, Debug)]
pub struct Order {
    /// The idempotency key.
    pub key: String,
    /// Minor units.
    pub amount: u64,
    /// The order that it is for.
    pub reference: String,
    /// What is wanted.
    pub wish: Wish,
}

/// What is wanted of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Money, from a card that is good or not.
    Charge {
        /// The card refuses.
        declined: bool,
    },
    /// That the money of the charge under this key goes back.
    Refund {
        /// The key of the charge.
        charge_key: String,
    },
    /// That the key's outcome is final.
    Settle,
}

/// The outcome of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happened; the provider's name for it.
    Succeeded(String),
    /// The card was refused.
    Declined,
    /// It was settled before it happened.
    Forbidden,
}

impl Bank {
    /// Does what is asked, or says again what was done under the key.
    ///
    /// # Errors
    /// When the key belongs to another request, or there is nothing to give back. Nothing is recorded then.
    pub fn decide(&mut self, order: &Order) -> Result<Outcome, String> {
        let content = format!("{:?} {} {}", order.wish, order.amount, order.reference);
        if let Some((at, known)) = self.keys.get(&order.key) {
            let Some(entry) = self.entries.get(*at) else {
                return Err("no such entry".to_owned());
            };
            if order.wish != Wish::Settle && entry.kind != "forbid" && *known != content {
                return Err(format!("key {} belongs to another request", order.key));
            }
            return Ok(outcome(entry));
        }
        let (kind, charge_key) = match &order.wish {
            Wish::Charge { declined: true } => ("decline", None),
            Wish::Charge { declined: false } => ("charge", None),
            Wish::Refund { charge_key } => {
                self.may_refund(charge_key, order.amount)?;
                ("refund", Some(charge_key.clone()))
            }
            Wish::Settle => ("forbid", None),
        };
        let is_settled = order.wish == Wish::Settle;
        let entry = Entry {
            seq: self.entries.len() as u64 + 1,
            kind: kind.to_owned(),
            key: order.key.clone(),
            amount: if is_settled { 0 } else { order.amount },
            reference: (!is_settled).then(|| order.reference.clone()),
            charge_key,
        };
        let said = outcome(&entry);
        self.keys.insert(order.key.clone(), (self.entries.len(), content));
        self.entries.push(entry);
        Ok(said)
    }

    /// Every entry, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Everything that was charged under `charge_key` is still here, and it is at least `amount`.
    fn may_refund(&self, charge_key: &str, amount: u64) -> Result<(), String> {
        let of = |kind: &'static str| self.entries.iter().filter(move |entry| entry.kind == kind);
        let charged: u64 = of("charge")
            .filter(|e| e.key == charge_key)
            .map(|e| e.amount)
            .sum();
        let is_of = |entry: &&Entry| entry.charge_key.as_deref() == Some(charge_key);
        let refunded: u64 = of("refund").filter(is_of).map(|e| e.amount).sum();
        if charged == 0 {
            return Err(format!("there is no charge {charge_key}"));
        }
        if refunded + amount > charged {
            return Err(format!("{refunded} of {charged} are given back already"));
        }
        Ok(())
    }
}

fn outcome(entry: &Entry) -> Outcome {
    match entry.kind.as_str() {
        "decline" => Outcome::Declined,
        "forbid" => Outcome::Forbidden,
        kind => Outcome::Succeeded(format!("{kind}-{}", entry.seq)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(key: &str, wish: Wish) -> Order {
        Order {
            key: key.to_owned(),
            amount: 100,
            reference: "ORD-1".to_owned(),
            wish,
        }
    }

    #[test]
    fn a_key_has_one_outcome() {
        let mut bank = Bank::default();
        let charge = order("k", Wish::Charge { declined: false });
        let first = bank.decide(&charge).unwrap();
        assert_eq!(bank.decide(&charge).unwrap(), first);
        assert_eq!(bank.decide(&order("k", Wish::Settle)).unwrap(), first);
        let other = Order { amount: 7, ..charge };
        assert!(bank.decide(&other).unwrap_err().contains("another request"));
        assert_eq!(bank.entries().len(), 1);
    }

    #[test]
    fn what_is_settled_first_never_happens() {
        let mut bank = Bank::default();
        assert_eq!(bank.decide(&order("k", Wish::Settle)), Ok(Outcome::Forbidden));
        let charge = order("k", Wish::Charge { declined: false });
        assert_eq!(bank.decide(&charge), Ok(Outcome::Forbidden));
    }

    #[test]
    fn only_what_was_charged_is_given_back_and_once() {
        let mut bank = Bank::default();
        let refund = |key: &str| {
            order(
                key,
                Wish::Refund {
                    charge_key: "k".to_owned(),
                },
            )
        };
        assert!(bank.decide(&refund("u")).is_err());
        bank.decide(&order("k", Wish::Charge { declined: false }))
            .unwrap();
        assert!(matches!(bank.decide(&refund("u")), Ok(Outcome::Succeeded(_))));
        assert!(bank.decide(&refund("v")).is_err());
        assert!(bank.decide(&refund("k")).is_err());
    }
}
