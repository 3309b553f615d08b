use saga::{Payload, Token};

use super::{Adjustment, Ledger, Named, Product, Reservation, StockError};

/// What an [`Operation`](super::Operation) wants its driver to do next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    /// Read the last event of an entity, and answer with what it says.
    Load {
        /// Which entity.
        key: Key,
        /// How fresh the answer has to be.
        from: Source,
    },
    /// Append an event on the condition of its guard, and say what became of it.
    Append(Append),
    /// Nothing more: the journal owes nothing for this operation.
    Done(Outcome),
    /// The journal holds what this protocol cannot have written. Nothing was appended on that ground.
    Broken(StockError),
}

/// An entity of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A product, by its sku.
    Product(Token),
    /// A reservation, by its order.
    Reservation(Token),
    /// An adjustment, by its own id.
    Adjustment(Token),
}

/// How fresh a load has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Any replica: any state the entity ever had, or one that the leader does not show yet.
    Anywhere,
    /// What the stream leader shows, or showed or acknowledged to this process at any time before.
    Shown,
    /// The stream leader: no older than any append that was acknowledged before the load began.
    Leader,
}

/// A guarded append, by the kind of its entity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Append {
    /// To a product.
    Product(Write<Product>),
    /// To a reservation.
    Reservation(Write<Reservation>),
    /// To an adjustment.
    Adjustment(Write<Adjustment>),
}

/// A guarded append to one entity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Write<E: Ledger> {
    /// The entity's id.
    pub id: Token,
    /// The sequence that its last event must still have; 0 for none.
    pub guard: u64,
    /// Its state at the guard.
    pub before: Option<E>,
    /// What happens.
    pub fact: E::Fact,
    /// What the event carries.
    pub payload: E::Payload,
}

/// What the driver answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Observed {
    /// Nothing yet: the operation begins. Asked again, it repeats itself.
    Nothing,
    /// The product that was asked for; `None` if it has no event.
    Product(Option<Seen<Product>>),
    /// The reservation that was asked for; `None` if it has no event.
    Reservation(Option<Seen<Reservation>>),
    /// The adjustment that was asked for; `None` if it has no event.
    Adjustment(Option<Seen<Adjustment>>),
    /// The event is in the journal, at this sequence.
    Appended(u64),
    /// The guard was stale: the event is not in the journal and will not be.
    Conflict,
    /// Nobody knows: the event may be in the journal, or arrive later, or never.
    Unknown,
}

/// An entity as it was at one of its events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seen<E> {
    /// Its state.
    pub state: E,
    /// The sequence of that event.
    pub sequence: u64,
}

/// What became of an operation. Under one id, the same for every worker, for ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Reserve, settle: every item is set aside; or was, before it was released or shipped.
    Held,
    /// Nothing is set aside and nothing will be: this product was short.
    Refused {
        /// The product.
        short: Token,
    },
    /// Nothing is set aside and nothing will be: the step was settled first.
    Forbidden,
    /// Release, ship: what was held is back on hand.
    Released,
    /// Release, ship: what was held has left.
    Shipped,
    /// Release, ship: there is no reservation to do it to.
    Absent,
    /// The adjustment of this id is applied: this product, by this difference. Another request under the same
    /// id may have asked for something else; the first one counts.
    Adjusted {
        /// The product.
        sku: Token,
        /// The difference.
        quantity: i64,
    },
    /// The adjustment of this id does not fit and never will.
    NotAdjusted {
        /// The product.
        sku: Token,
        /// The difference.
        quantity: i64,
    },
}

impl<E: Ledger> Write<E> {
    /// The event type on the wire: one subject token.
    pub fn event_type(&self) -> &'static str {
        self.fact.event_type()
    }

    /// The event's payload as JSON text.
    ///
    /// # Errors
    /// Never for the payloads of this protocol.
    pub fn json(&self) -> Result<Payload, serde_json::Error> {
        Payload::of(&self.payload)
    }

    /// The state after the event: what [`Entity::evolve`](saga::Entity::evolve) makes of it.
    ///
    /// # Errors
    /// Never for what [`Operation::next`](super::Operation::next) gave out.
    pub fn after(&self) -> Result<E, StockError> {
        E::after(self.before.as_ref(), self.fact, &self.payload)
    }
}
