use saga::Token;

use super::{
    Cause, Key, Move, Next, Product, ProductFact, Seen, Settled, Source, StockChange, Write, step::Append,
};

/// One product of an operation: what it is to move there, and how much is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Part {
    pub(super) sku: Token,
    pub(super) quantity: i64,
    /// The product as last read or written; sequence 0 if it has no event. `None` after a doubtful append.
    pub(super) seen: Option<Seen<Product>>,
    /// Whether `seen` came from the leader, and has to.
    pub(super) from: Source,
    gate: Gate,
}

/// Whether an operation that was decided against can still arrive at a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Gate {
    /// The product was not read since the decision was known.
    Open,
    /// The product's sequence at its first read after the decision. Whoever still tries has read it no later
    /// than that; so the next append, by anybody, makes his guard stale.
    Watched(u64),
    /// It cannot arrive, and is not there.
    Shut,
}

impl Part {
    pub(super) fn new(sku: &Token, quantity: i64) -> Self {
        Self {
            sku: sku.clone(),
            quantity,
            seen: None,
            from: Source::Anywhere,
            gate: Gate::Open,
        }
    }

    /// Whether the product is known to list `kind` of `id`.
    pub(super) fn lists(&self, kind: Move, id: &Token) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.state.lists(kind, id))
    }

    /// Whether the product, as seen, has room for the move.
    pub(super) fn fits(&self, kind: Move) -> bool {
        self.seen
            .as_ref()
            .is_some_and(|seen| seen.state.fits(kind, self.quantity))
    }

    pub(super) const fn is_shut(&self) -> bool {
        matches!(self.gate, Gate::Shut)
    }

    /// Takes note of a load or of an own append.
    pub(super) fn saw(&mut self, seen: Seen<Product>, from: Source) {
        self.from = from;
        self.seen = Some(seen);
    }

    /// After an append that failed, or may have: only the leader knows.
    pub(super) fn forget(&mut self) {
        self.from = Source::Leader;
        self.seen = None;
    }

    /// Takes note of a read from the leader that began after `kind` of `id` was known to be decided against.
    pub(super) fn watch(&mut self, kind: Move, id: &Token) {
        let Some(seen) = &self.seen else { return };
        let moved_on = matches!(self.gate, Gate::Watched(first) if first != seen.sequence);
        // A product on which the move does not fit refuses it to everybody who read it as it is.
        let safe = moved_on || !seen.state.fits(kind, self.quantity);
        self.gate = match self.gate {
            Gate::Open | Gate::Watched(_) if safe && !seen.state.lists(kind, id) => Gate::Shut,
            Gate::Open => Gate::Watched(seen.sequence),
            known @ (Gate::Watched(_) | Gate::Shut) => known,
        };
    }

    /// Takes note that an own withdrawal or fence is in the journal.
    pub(super) fn shut(&mut self) {
        if matches!(self.gate, Gate::Watched(_)) {
            self.gate = Gate::Shut;
        }
    }

    /// The append that keeps `kind` of `id`, decided against, out of this product; `None` if the product has to
    /// be read from the leader first.
    pub(super) fn keep_out(&self, kind: Move, id: &Token) -> Option<(ProductFact, i64)> {
        let (Gate::Watched(_), Some(seen)) = (&self.gate, &self.seen) else {
            return None;
        };
        Some(match seen.state.entry(kind, id) {
            Some(entry) => (ProductFact::StockWithdrawn, entry.quantity),
            None => (ProductFact::StockFenced, self.quantity),
        })
    }

    pub(super) fn load(&self, from: Source) -> Next {
        Next::Load {
            key: Key::Product(self.sku.clone()),
            from,
        }
    }

    /// The append of `fact` under the guard of what was seen.
    pub(super) fn write(
        &self,
        fact: ProductFact,
        cause: Cause,
        quantity: i64,
        settled: Vec<Settled>,
    ) -> Next {
        let Some(seen) = &self.seen else {
            return self.load(Source::Leader);
        };
        let write = Write::<Product> {
            id: self.sku.clone(),
            guard: seen.sequence,
            before: (seen.sequence > 0).then(|| seen.state.clone()),
            fact,
            payload: StockChange {
                sku: self.sku.clone(),
                cause,
                quantity,
                settled,
            },
        };
        match write.after() {
            Ok(_) => Next::Append(Append::Product(write)),
            Err(why) => Next::Broken(why),
        }
    }
}
