use std::collections::HashMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// What the provider did for each order, read from its ledger as it grows: whatever comes twice is seen at once.
#[derive(Debug, Default)]
pub(super) struct Money {
    read: u64,
    orders: HashMap<String, Account>,
}

/// How often something was done for one order.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    charges: u32,
    refunds: u32,
}

#[derive(Deserialize)]
struct Entry {
    seq: u64,
    kind: String,
    reference: Option<String>,
}

impl Money {
    /// The place in the ledger up to which it was read.
    pub(super) const fn place(&self) -> u64 {
        self.read
    }

    /// Takes in what came after that place. Returns a sentence for every order that was charged or refunded twice.
    ///
    /// # Errors
    /// When a line is none of a ledger.
    pub(super) fn read(&mut self, lines: &str) -> Result<Vec<String>> {
        let mut twice = Vec::new();
        for line in lines.lines() {
            let entry: Entry = serde_json::from_str(line).context("the provider's ledger")?;
            self.read = self.read.max(entry.seq);
            let Some(order) = entry.reference else { continue };
            let account = self.orders.entry(order.clone()).or_default();
            match entry.kind.as_str() {
                "charge" => account.charges += 1,
                "refund" => account.refunds += 1,
                _ => continue,
            }
            if account.charges > 1 || account.refunds > 1 {
                twice.push(format!(
                    "{order}: a second {} in the provider's ledger",
                    entry.kind
                ));
            }
        }
        Ok(twice)
    }
}
