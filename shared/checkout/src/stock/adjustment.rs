use saga::{Entity, EntityError, Event, More, Token, carries_more};
use serde::{Deserialize, Serialize};

use super::{Ledger, StockError, fact};

/// One change of one product's stock from outside: a delivery, a stocktake. Its id is the idempotency key:
/// the first request fixes product and difference for ever, and it is applied once or refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Adjustment {
    /// Where it stands.
    pub status: AdjustmentStatus,
    /// The product.
    pub sku: Token,
    /// The difference, in units; it may be negative.
    pub quantity: i64,
    /// What newer code wrote there.
    pub more: More,
}

/// Where an adjustment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AdjustmentStatus {
    /// Asked for.
    Requested,
    /// The product has absorbed it. Final.
    Applied,
    /// There was less on hand than it takes away, or no room for what it adds. Final.
    Refused,
}

fact::facts! {
    /// What happens to an adjustment.
    AdjustmentFact {
        /// It is asked for. The first event.
        AdjustmentRequested,
        /// The product has absorbed it.
        AdjustmentApplied,
        /// It does not fit; the product takes it out again, or is fenced.
        AdjustmentRefused,
    }
}

/// The payload of every adjustment event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdjustmentNote {
    /// The adjustment.
    pub adjustment_id: Token,
    /// The product.
    pub sku: Token,
    /// The difference, in units; it may be negative.
    pub quantity: i64,
}

impl Ledger for Adjustment {
    type Fact = AdjustmentFact;
    type Payload = AdjustmentNote;

    fn after(before: Option<&Self>, fact: AdjustmentFact, note: &AdjustmentNote) -> Result<Self, StockError> {
        let status = match (before.map(|b| b.status), fact) {
            (None, AdjustmentFact::AdjustmentRequested) => AdjustmentStatus::Requested,
            (Some(AdjustmentStatus::Requested), AdjustmentFact::AdjustmentApplied) => {
                AdjustmentStatus::Applied
            }
            (Some(AdjustmentStatus::Requested), AdjustmentFact::AdjustmentRefused) => {
                AdjustmentStatus::Refused
            }
            (None, _) => return Err(StockError::Decided("not requested")),
            (Some(AdjustmentStatus::Requested), _) => return Err(StockError::Decided("requested")),
            (Some(AdjustmentStatus::Applied), _) => return Err(StockError::Decided("applied")),
            (Some(AdjustmentStatus::Refused), _) => return Err(StockError::Decided("refused")),
        };
        let (sku, quantity) = before.map_or((&note.sku, note.quantity), |b| (&b.sku, b.quantity));
        Ok(Self {
            status,
            sku: sku.clone(),
            quantity,
            more: before.map(|b| b.more.clone()).unwrap_or_default(),
        })
    }

    fn subject(note: &AdjustmentNote) -> &Token {
        &note.adjustment_id
    }

    fn limit_to(&mut self, other: &Self) {
        self.more.limit_to(&other.more);
    }
}

impl Entity for Adjustment {
    const KIND: &'static str = "adjustment";

    fn evolve<S>(before: Option<&Self>, event: &Event<S>, id: &Token) -> Result<Self, EntityError> {
        fact::evolve(before, event, id)
    }
}

carries_more!(Adjustment { status "status" needed, sku "sku" needed, quantity "quantity" needed });
