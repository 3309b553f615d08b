use saga::Token;
use serde::{Deserialize, Serialize};

use super::{Mark, Move, StockError};

/// The payload of every product event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StockChange {
    /// The product.
    pub sku: Token,
    /// On whose behalf.
    #[serde(flatten)]
    pub cause: Cause,
    /// How many units; for an adjustment the difference, which may be negative.
    pub quantity: i64,
    /// Operations of others that leave the list with this event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<Settled>,
}

/// On whose behalf stock moves.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// An order.
    OrderId(Token),
    /// An adjustment.
    AdjustmentId(Token),
}

/// An operation whose decider was seen to be final, so that it may leave the list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    /// Which one.
    #[serde(flatten)]
    pub mark: Mark,
    /// It was decided against: its units go back. Otherwise it is recorded and stays in the numbers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

impl Cause {
    /// The operation that this cause's decider can refuse: a hold or an adjustment.
    pub(super) fn refusable(&self) -> Mark {
        match self {
            Self::OrderId(id) => Mark {
                kind: Move::Hold,
                id: id.clone(),
            },
            Self::AdjustmentId(id) => Mark {
                kind: Move::Adjust,
                id: id.clone(),
            },
        }
    }

    /// The operation `kind` of this cause.
    ///
    /// # Errors
    /// When it is no cause of that.
    pub(super) fn mark(&self, kind: Move) -> Result<Mark, StockError> {
        match (self, kind) {
            (Self::OrderId(id), Move::Hold | Move::Release | Move::Ship)
            | (Self::AdjustmentId(id), Move::Adjust) => Ok(Mark { kind, id: id.clone() }),
            (Self::OrderId(_), Move::Adjust) | (Self::AdjustmentId(_), _) => Err(StockError::Unknown),
        }
    }
}
