use saga::{Entity, EntityError, Event, More, Token, carries_more};
use serde::{Deserialize, Serialize};

use super::{Ledger, Settled, StockChange, StockError, fact};

/// One product's stock. Every unit that ever entered is in exactly one of the three numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Product {
    /// Units that the next order may take.
    pub on_hand: u64,
    /// Units set aside for an order.
    pub reserved: u64,
    /// Units that have left.
    pub shipped: u64,
    /// The operations that these numbers contain and whose decider may not have recorded them yet, oldest
    /// first. A recorded one stays until the next events of this product drop it.
    pub in_flight: Vec<Absorbed>,
    /// What newer code wrote there.
    pub more: More,
}

/// An operation that a product's numbers contain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Absorbed {
    /// Which one.
    pub mark: Mark,
    /// How many units it moved; for an adjustment the difference, which may be negative.
    pub quantity: i64,
    /// What newer code wrote there; it leaves the list with the entry.
    pub more: More,
}

/// The name of an operation on a product: at most one of each name is ever applied, and not taken back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// What it does.
    pub kind: Move,
    /// The id of its decider: the order of a reservation, or the adjustment.
    pub id: Token,
}

/// What an operation does to a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Move {
    /// From on hand to reserved.
    Hold,
    /// From reserved back to on hand.
    Release,
    /// From reserved to shipped.
    Ship,
    /// Into or out of on hand.
    Adjust,
}

fact::facts! {
    /// What happens to a product.
    ProductFact {
        /// A hold is absorbed.
        StockReserved,
        /// A release is absorbed.
        StockReleased,
        /// A shipment is absorbed.
        StockShipped,
        /// An adjustment is absorbed.
        StockAdjusted,
        /// A hold or an adjustment that was decided against is taken out again.
        StockWithdrawn,
        /// A hold or an adjustment that was decided against is not here, and now cannot arrive any more.
        StockFenced,
    }
}

impl Product {
    /// The most units a product may ever have seen: 2^53 - 1, the largest integer that every JSON reader keeps.
    pub const MAX: u64 = 9_007_199_254_740_991;

    /// Whether the list holds `kind` of `id`.
    pub fn lists(&self, kind: Move, id: &Token) -> bool {
        self.position(kind, id).is_some()
    }

    /// The entry of `kind` of `id`, if the list holds it.
    pub fn entry(&self, kind: Move, id: &Token) -> Option<&Absorbed> {
        self.position(kind, id).and_then(|at| self.in_flight.get(at))
    }

    /// Whether `kind` can move `quantity` units as the numbers are now.
    pub fn fits(&self, kind: Move, quantity: i64) -> bool {
        self.moved(kind, quantity).is_some()
    }

    fn position(&self, kind: Move, id: &Token) -> Option<usize> {
        self.in_flight
            .iter()
            .position(|entry| entry.mark.kind == kind && entry.mark.id == *id)
    }

    /// The three numbers after the move; `None` when one of them cannot be.
    fn moved(&self, kind: Move, quantity: i64) -> Option<[u64; 3]> {
        if quantity.unsigned_abs() > Self::MAX {
            return None;
        }
        let shift = |from: u64, to: u64| {
            Some((
                from.checked_sub_signed(quantity)?,
                to.checked_add_signed(quantity)?,
            ))
        };
        let [on_hand, reserved, shipped] = [self.on_hand, self.reserved, self.shipped];
        let numbers = match kind {
            Move::Hold => shift(on_hand, reserved).map(|(h, r)| [h, r, shipped])?,
            Move::Release => shift(reserved, on_hand).map(|(r, h)| [h, r, shipped])?,
            Move::Ship => shift(reserved, shipped).map(|(r, s)| [on_hand, r, s])?,
            Move::Adjust => [on_hand.checked_add_signed(quantity)?, reserved, shipped],
        };
        let total = numbers.iter().try_fold(0_u64, |sum, n| sum.checked_add(*n))?;
        (total <= Self::MAX).then_some(numbers)
    }

    fn shift(&mut self, kind: Move, quantity: i64) -> Result<(), StockError> {
        let numbers = self.moved(kind, quantity).ok_or(StockError::Short(quantity))?;
        [self.on_hand, self.reserved, self.shipped] = numbers;
        Ok(())
    }

    fn absorb(&mut self, mark: Mark, quantity: i64) -> Result<(), StockError> {
        let rules_out = match mark.kind {
            Move::Release | Move::Ship => [Move::Release, Move::Ship],
            kind @ (Move::Hold | Move::Adjust) => [kind, kind],
        };
        if rules_out.iter().any(|kind| self.lists(*kind, &mark.id)) {
            return Err(StockError::Absorbed(mark.id));
        }
        if mark.kind != Move::Adjust && quantity < 1 {
            return Err(StockError::Quantity(quantity));
        }
        self.shift(mark.kind, quantity)?;
        if let (Move::Release | Move::Ship, Some(at)) = (mark.kind, self.position(Move::Hold, &mark.id)) {
            self.in_flight.remove(at); // recorded: its reservation is held, or this could not follow
        }
        self.in_flight.push(Absorbed {
            mark,
            quantity,
            more: More::default(),
        });
        Ok(())
    }

    fn remove(&mut self, mark: &Mark, withdrawn: bool) -> Result<i64, StockError> {
        let missing = || StockError::NotAbsorbed(mark.id.clone());
        let at = self.position(mark.kind, &mark.id).ok_or_else(missing)?;
        let quantity = self.in_flight.remove(at).quantity;
        match (withdrawn, mark.kind) {
            (false, _) => {}
            (true, Move::Hold | Move::Adjust) => {
                let back = quantity.checked_neg().ok_or(StockError::Quantity(quantity))?;
                self.shift(mark.kind, back)?;
            }
            (true, Move::Release | Move::Ship) => return Err(StockError::Decided("held")),
        }
        Ok(quantity)
    }
}

impl Ledger for Product {
    type Fact = ProductFact;
    type Payload = StockChange;

    fn after(before: Option<&Self>, fact: ProductFact, change: &StockChange) -> Result<Self, StockError> {
        let mut product = before.cloned().unwrap_or_default();
        let mut absorb = |kind| product.absorb(change.cause.mark(kind)?, change.quantity);
        match fact {
            ProductFact::StockReserved => absorb(Move::Hold)?,
            ProductFact::StockReleased => absorb(Move::Release)?,
            ProductFact::StockShipped => absorb(Move::Ship)?,
            ProductFact::StockAdjusted => absorb(Move::Adjust)?,
            ProductFact::StockWithdrawn => {
                if product.remove(&change.cause.refusable(), true)? != change.quantity {
                    return Err(StockError::Quantity(change.quantity));
                }
            }
            ProductFact::StockFenced => {
                let Mark { kind, id } = change.cause.refusable();
                if product.lists(kind, &id) {
                    return Err(StockError::Absorbed(id));
                }
            }
        }
        for Settled { mark, withdrawn } in &change.settled {
            product.remove(mark, *withdrawn)?;
        }
        Ok(product)
    }

    fn subject(change: &StockChange) -> &Token {
        &change.sku
    }

    fn limit_to(&mut self, other: &Self) {
        self.more.limit_to(&other.more);
        for entry in &mut self.in_flight {
            if let Some(other) = other.entry(entry.mark.kind, &entry.mark.id) {
                entry.more.limit_to(&other.more);
            }
        }
    }
}

impl Entity for Product {
    const KIND: &'static str = "stock";

    fn evolve<S>(before: Option<&Self>, event: &Event<S>, id: &Token) -> Result<Self, EntityError> {
        fact::evolve(before, event, id)
    }
}

carries_more!(Product {
    on_hand "onHand" needed, reserved "reserved" needed, shipped "shipped" needed, in_flight "inFlight" listed,
});
carries_more!(Absorbed {
    ..mark: Mark { kind "kind" needed, id "id" needed },
    quantity "quantity" needed,
});
