use std::collections::BTreeMap;

use saga::{Plan, Token};

use super::{
    Finds, Invariant, Scope,
    thread::{Thread, Told},
};
use crate::stock::{Adjustment, AdjustmentNote};

/// One change of stock from outside.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) thread: Thread<Adjustment>,
    /// The product and the difference, as it was asked for.
    wanted: Option<(Token, i64)>,
    /// Whether it was applied; `None` until it is decided.
    applied: Option<bool>,
    /// What products say that they took of it and did not give back.
    pub(super) absorbed: BTreeMap<Token, i64>,
}

impl Change {
    /// Takes the next event of the adjustment.
    pub(super) fn take(&mut self, told: &Told<'_>, plan: &Plan, finds: &mut Finds<'_>) {
        self.thread.link(told, finds);
        self.thread.fold(told, plan, finds);
        let note = told.event.map(|event| event.payload.read::<AdjustmentNote>());
        if let Some(Ok(note)) = note {
            let wanted = (note.sku, note.quantity);
            if self.wanted.as_ref().is_some_and(|before| *before != wanted) {
                finds.add(Invariant::I4, format!("{} changes what was asked for", told.what));
            }
            self.wanted = Some(wanted);
        }
        let applied = match told.what {
            "AdjustmentRequested" => return,
            "AdjustmentApplied" => true,
            "AdjustmentRefused" => false,
            what => return finds.add(Invariant::I7, format!("{what} is no event of an adjustment")),
        };
        if self.applied.is_some() {
            finds.add(
                Invariant::I4,
                format!("{}, but the adjustment was decided before", told.what),
            );
        }
        self.applied = Some(applied);
    }

    /// What it brought in, and where; nothing unless it was applied.
    pub(super) fn brought(&self) -> Option<(&Token, i64)> {
        let (sku, quantity) = self.wanted.as_ref()?;
        (self.applied == Some(true)).then_some((sku, *quantity))
    }

    /// Applied is what its product took, refused is what no product has.
    pub(super) fn check(&self, scope: Scope, finds: &mut Finds<'_>) {
        let due = match self.applied {
            Some(true) => self.wanted.as_ref().map_or(0, |(_, quantity)| *quantity),
            Some(false) if scope.at_rest => 0,
            None if scope.at_rest => {
                return finds.add(Invariant::I6, "it was asked for, but neither applied nor refused");
            }
            Some(false) | None => return,
        };
        let absorbed: i64 = self.absorbed.values().sum();
        if absorbed != due {
            finds.add(
                Invariant::I6,
                format!("its product took {absorbed}, but it should be {due}"),
            );
        }
    }
}
