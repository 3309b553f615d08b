use std::{fmt::Debug, hash::Hash};

use saga::{Entity, EntityError, Event, Payload, Token};
use serde::{Serialize, de::DeserializeOwned};

/// An [`Entity`] of this protocol: its facts are typed, and one total function folds them.
pub trait Ledger: Entity + Debug + Eq + Hash {
    /// What can happen to it.
    type Fact: Named;
    /// What its events carry.
    type Payload: Serialize + DeserializeOwned + Clone + Debug + Eq + Hash;

    /// The state after `fact`, given the state before it (`None` before the first).
    ///
    /// # Errors
    /// When the fact cannot follow; then nothing of it happened.
    fn after(before: Option<&Self>, fact: Self::Fact, payload: &Self::Payload) -> Result<Self, StockError>;

    /// The id of the entity that `payload` speaks of.
    fn subject(payload: &Self::Payload) -> &Token;

    /// Keeps of what newer code wrote those fields alone that `other` has too, as it has them.
    fn limit_to(&mut self, other: &Self);

    /// True if this is the state `folded`, though newer code may have put more into it. The fields of that sort that
    /// `folded` has need to be there; what is in them is for newer code to say.
    fn extends(&self, folded: &Self) -> bool {
        if self == folded {
            return true;
        }
        let mut known = self.clone();
        known.limit_to(folded);
        known == *folded
    }
}

/// The event types of one kind of entity.
pub trait Named: Copy + Debug + Eq + Hash + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// The event type on the wire: one subject token.
    fn event_type(self) -> &'static str;
}

/// What stands against a fact. In the journal it is a bug or a foreign write: this protocol never writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StockError {
    /// The event type is none of this kind.
    #[error("no such event")]
    Unknown,
    /// The payload does not read.
    #[error("its payload is not readable: {0}")]
    Payload(String),
    /// The payload speaks of another entity than the subject.
    #[error("it speaks of {0}")]
    Subject(Token),
    /// The quantity is none that this event can have.
    #[error("it moves {0}")]
    Quantity(i64),
    /// A number would fall below zero or rise above [`Product::MAX`](super::Product::MAX).
    #[error("it moves {0} more than there are, or can be counted")]
    Short(i64),
    /// The product has absorbed the operation already, or its opposite.
    #[error("the product has absorbed an operation of {0} that rules it out")]
    Absorbed(Token),
    /// The product does not list the operation that the event takes from its list.
    #[error("the product lists no such operation of {0}")]
    NotAbsorbed(Token),
    /// The entity is already decided, or not yet.
    #[error("the entity is {0}")]
    Decided(&'static str),
}

/// [`Entity::evolve`] for every ledger.
pub(super) fn evolve<E: Ledger, S>(
    before: Option<&E>,
    event: &Event<S>,
    id: &Token,
) -> Result<E, EntityError> {
    let fold = || {
        let name = event.event_type.as_str();
        let fact = E::Fact::ALL
            .iter()
            .find(|f| f.event_type() == name)
            .ok_or(StockError::Unknown)?;
        let payload = read::<E>(&event.payload)?;
        match E::subject(&payload) {
            subject if subject == id => E::after(before, *fact, &payload),
            other => Err(StockError::Subject(other.clone())),
        }
    };
    fold().map_err(|why| EntityError::new(event, why))
}

fn read<E: Ledger>(payload: &Payload) -> Result<E::Payload, StockError> {
    payload.read().map_err(|why| StockError::Payload(why.to_string()))
}

/// Declares the event types of one kind: the variant's name is the name on the wire.
macro_rules! facts {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$about])* $variant),+ }

        impl $crate::stock::Named for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            fn event_type(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }
    };
}
pub(super) use facts;
