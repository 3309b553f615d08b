use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Payload, Token};

/// An entity that answers commands: what a command comes to, and what an event makes of the state. Both are pure.
///
/// Its events live in the journal under the same guard as a saga's, each with the whole state after it; a command that was
/// decided on an older state is decided again, or refused if its sender named the state that it saw.
pub trait Aggregate: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The `kind` token of its subjects.
    const KIND: &'static str;
    /// The version of the shapes that this code writes. What is older is brought up by [`Self::upcast`] when it is read;
    /// what is newer is left to newer code. Raise it with every change of a shape, a new field of the state included: under
    /// the same version older code would not carry that field on.
    const VERSION: u32 = 1;
    /// What can happen to it: one variant for each event type, see [`crate::one_of!`].
    type Event: Facts;
    /// What can be asked of it.
    type Command: Send + Sync;
    /// Why it says no: a rule of the domain, in a sentence for whoever asked.
    type Refusal: std::error::Error + Send + Sync + 'static;

    /// What the command comes to, given the state (`None` before the first event).
    ///
    /// # Errors
    /// When the domain says no. Nothing is recorded then.
    fn decide(
        state: Option<&Self>,
        id: &Token,
        command: &Self::Command,
    ) -> Result<Decision<Self::Event>, Self::Refusal>;

    /// The state after `event`, given the state before it. Total: what was decided once has happened.
    fn evolve(state: Option<&Self>, id: &Token, event: &Self::Event) -> Self;

    /// Brings what was written under an older `version` to the shape of [`Self::VERSION`].
    ///
    /// # Errors
    /// When that shape cannot be told from what is there.
    fn upcast(_shape: Shape<'_>, version: u32, _value: &mut Value) -> Result<(), String> {
        Err(format!(
            "version {version} of {} is not known; this code writes version {}",
            Self::KIND,
            Self::VERSION
        ))
    }
}

/// What a command comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<E> {
    /// This happens.
    Event(E),
    /// Nothing happens: it is so already.
    Nothing,
}

/// What is to be brought to the present shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape<'a> {
    /// The payload of an event of this type.
    Payload(&'a str),
    /// The state after an event.
    State,
}

/// A closed set of facts: an enum with one variant for each.
pub trait Facts: Send + Sync + Sized + 'static {
    /// Their event types.
    const TYPES: &'static [&'static str];

    /// The event type of this one.
    fn event_type(&self) -> &'static str;

    /// Its payload.
    ///
    /// # Errors
    /// When it does not serialise.
    fn payload(&self) -> Result<Payload, serde_json::Error>;

    /// Reads the payload of an event type; `None` if it is none of these.
    fn read(event_type: &str, payload: &Payload) -> Option<Result<Self, serde_json::Error>>;
}

/// Defines an enum over facts, with a variant called like each of them.
///
/// ```
/// # use saga::{Fact, Facts, one_of};
/// # #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
/// # pub struct DoorOpened {}
/// # impl Fact for DoorOpened { const TYPE: &'static str = "DoorOpened"; }
/// # #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
/// # pub struct DoorClosed {}
/// # impl Fact for DoorClosed { const TYPE: &'static str = "DoorClosed"; }
/// one_of! {
///     /// What happens to a door.
///     pub enum DoorEvent { DoorOpened, DoorClosed }
/// }
/// assert_eq!(DoorEvent::from(DoorOpened {}).event_type(), "DoorOpened");
/// ```
#[macro_export]
macro_rules! one_of {
    ($(#[$about:meta])* $visibility:vis enum $name:ident { $($fact:ident),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq)]
        $visibility enum $name {
            $(#[doc = concat!("See [`", stringify!($fact), "`].")] $fact($fact),)+
        }
        impl $crate::Facts for $name {
            const TYPES: &'static [&'static str] = &[$(<$fact as $crate::Fact>::TYPE),+];
            fn event_type(&self) -> &'static str {
                match self { $(Self::$fact(_) => <$fact as $crate::Fact>::TYPE,)+ }
            }
            fn payload(&self) -> ::std::result::Result<$crate::Payload, $crate::JsonError> {
                match self { $(Self::$fact(fact) => $crate::Payload::of(fact),)+ }
            }
            fn read(event_type: &str, payload: &$crate::Payload) -> ::std::option::Option<::std::result::Result<Self, $crate::JsonError>> {
                $(if event_type == <$fact as $crate::Fact>::TYPE {
                    return ::std::option::Option::Some(payload.read().map(Self::$fact));
                })+
                ::std::option::Option::None
            }
        }
        $(impl ::std::convert::From<$fact> for $name {
            fn from(fact: $fact) -> Self { Self::$fact(fact) }
        })+
    };
}
