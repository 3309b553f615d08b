//! Customers: an aggregate of their own beside the checkout, and an example of one. What can happen to a customer stands
//! in `events.rs`, what is decided in `aggregate.rs`; [`Customers`] runs it on the journal. Names and addresses are
//! sealed under a key for each customer, and deleting the key erases them.

mod aggregate;
mod events;

use jetsaga::{
    Aggregates, CommandError, EventId, Expected, Freshness, Moment, Nats, Numbered, Recorded, Token,
    TokenError, VaultError,
};

pub use aggregate::{Customer, CustomerCommand, CustomerRefusal, NewCustomer};
#[cfg(feature = "schema")]
pub use events::payload_schema;
pub use events::{
    CustomerAddressUpdated, CustomerCreated, CustomerEmailChanged, CustomerErased, CustomerEvent,
};

/// Every customer behind one connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Customers(Aggregates<Customer>);

/// A customer after an event, and the event.
pub type CustomerVersion = Recorded<Numbered<Customer>>;
/// Why a command came to nothing.
pub type CustomerError = CommandError<CustomerRefusal>;

impl Customers {
    /// The customers behind this connection.
    ///
    /// # Errors
    /// Never: the kind is a token.
    pub fn new(nats: &Nats) -> Result<Self, TokenError> {
        Aggregates::new(nats).map(Self)
    }

    /// Carries out a command under an id of its own: the same id again changes nothing and gives the same answer.
    ///
    /// # Errors
    /// As [`Aggregates::execute`].
    pub async fn execute(
        &self,
        id: &Token,
        expected: Expected,
        command: EventId,
        what: &CustomerCommand,
    ) -> Result<CustomerVersion, CustomerError> {
        if *what == CustomerCommand::Erase {
            return self.erase(id, expected, command).await;
        }
        self.0.execute(id, expected, command, what).await
    }

    /// The customer as they are; `None` if there is none.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn load(&self, id: &Token) -> Result<Option<CustomerVersion>, VaultError> {
        self.0.load(id, Freshness::Leader).await
    }

    /// The customer as they were, but for what was erased since; `None` if there was none.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn as_of(&self, id: &Token, moment: Moment) -> Result<Option<CustomerVersion>, VaultError> {
        self.0.as_of(id, moment).await
    }

    /// What happened to the customer, newest first, see [`Aggregates::history`].
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn history(
        &self,
        id: &Token,
        before: Option<u64>,
        most: usize,
    ) -> Result<Vec<CustomerVersion>, VaultError> {
        self.0.history(id, before, most).await
    }

    /// The key goes first: from then on nobody reads the data, whether or not the event follows. If it does not, the same
    /// command again brings it.
    async fn erase(
        &self,
        id: &Token,
        expected: Expected,
        command: EventId,
    ) -> Result<CustomerVersion, CustomerError> {
        let Some(customer) = self.0.load(id, Freshness::Leader).await? else {
            return Err(CommandError::Refused(CustomerRefusal::Unknown(id.clone())));
        };
        if let Expected::Sequence(expected) = expected
            && !customer.state.entity.erased
            && customer.sequence != expected
        {
            let last = customer.sequence;
            return Err(CommandError::Stale { expected, last });
        }
        self.0.erase(id).await?;
        self.0
            .execute(id, Expected::Any, command, &CustomerCommand::Erase)
            .await
    }
}
