use serde::{Serialize, de::DeserializeOwned};

use crate::{Event, Token};

/// Anything with a history that is no saga: one product's stock, one customer.
///
/// Its events live in the journal under the same guard as a saga's, each with the whole state after it.
pub trait Entity: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The `kind` token of its subjects.
    const KIND: &'static str;

    /// The state after `event`, given the state before it (`None` before the first). Total.
    ///
    /// # Errors
    /// When the event cannot follow the state.
    fn evolve<S>(before: Option<&Self>, event: &Event<S>, id: &Token) -> Result<Self, EntityError>;
}

/// Why an event cannot follow an entity's state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot follow: {why}")]
pub struct EntityError {
    /// The event type.
    pub event: Token,
    /// What stands against it.
    pub why: String,
}

impl EntityError {
    /// `event` cannot follow, because of `why`.
    pub fn new<S>(event: &Event<S>, why: impl std::fmt::Display) -> Self {
        Self {
            event: event.event_type.clone(),
            why: why.to_string(),
        }
    }
}
