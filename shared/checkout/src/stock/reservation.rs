use saga::{Entity, EntityError, Event, More, Token, carries_more};
use serde::{Deserialize, Serialize};

use super::{Items, Ledger, StockError, fact};

/// What became of one order's wish for stock. Its first event decides; only a held one can go on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reservation {
    /// What was decided.
    pub status: ReservationStatus,
    /// What the order takes.
    pub items: Items,
    /// The product that was short, if it is refused.
    pub short: Option<Token>,
    /// What newer code wrote there.
    pub more: More,
}

/// Where a reservation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReservationStatus {
    /// Every item is set aside.
    Held,
    /// A product was short: nothing is set aside, or it is being given back. Final.
    Refused,
    /// It was settled before it was held: nothing is set aside, or it is being given back. Final.
    Forbidden,
    /// What was held is back on hand. Final.
    Released,
    /// What was held has left. Final.
    Shipped,
}

fact::facts! {
    /// What happens to a reservation.
    ReservationFact {
        /// Every product has absorbed its hold. A first event.
        ReservationHeld,
        /// A product was short; every product takes its hold out again, or is fenced. A first event.
        ReservationRefused,
        /// The step is settled; every product takes its hold out again, or is fenced. A first event.
        ReservationForbidden,
        /// Every product has absorbed its release. Follows held.
        ReservationReleased,
        /// Every product has absorbed its shipment. Follows held.
        ReservationShipped,
    }
}

/// The payload of every reservation event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReservationDecision {
    /// The order.
    pub order_id: Token,
    /// What it takes.
    pub items: Items,
    /// The product that was short, if that is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short: Option<Token>,
}

impl ReservationStatus {
    const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Refused => "refused",
            Self::Forbidden => "forbidden",
            Self::Released => "released",
            Self::Shipped => "shipped",
        }
    }
}

impl Ledger for Reservation {
    type Fact = ReservationFact;
    type Payload = ReservationDecision;

    fn after(
        before: Option<&Self>,
        fact: ReservationFact,
        decision: &ReservationDecision,
    ) -> Result<Self, StockError> {
        let (first, status) = match fact {
            ReservationFact::ReservationHeld => (true, ReservationStatus::Held),
            ReservationFact::ReservationRefused => (true, ReservationStatus::Refused),
            ReservationFact::ReservationForbidden => (true, ReservationStatus::Forbidden),
            ReservationFact::ReservationReleased => (false, ReservationStatus::Released),
            ReservationFact::ReservationShipped => (false, ReservationStatus::Shipped),
        };
        match before.map(|b| b.status) {
            None if !first => return Err(StockError::Decided("undecided")),
            Some(ReservationStatus::Held) if !first => {}
            Some(other) => return Err(StockError::Decided(other.word())),
            None => {}
        }
        let items = before.map_or(&decision.items, |b| &b.items).clone();
        Ok(Self {
            status,
            items,
            short: decision.short.clone(),
            more: before.map(|b| b.more.clone()).unwrap_or_default(),
        })
    }

    fn subject(decision: &ReservationDecision) -> &Token {
        &decision.order_id
    }

    fn limit_to(&mut self, other: &Self) {
        self.more.limit_to(&other.more);
    }
}

impl Entity for Reservation {
    const KIND: &'static str = "reservation";

    fn evolve<S>(before: Option<&Self>, event: &Event<S>, id: &Token) -> Result<Self, EntityError> {
        fact::evolve(before, event, id)
    }
}

carries_more!(Reservation { status "status" needed, items "items" needed, short "short" given });
