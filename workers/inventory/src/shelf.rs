use std::{sync::Arc, time::Duration};

use checkout::stock::{
    Adjustment, Append, Key, Ledger, Next, Observed, Operation, Outcome, Product, Reservation, Seen, Source,
    StockError, Write,
};
use jetsaga::{
    AppendError, Event, EventId, Freshness, Journal, ReadError, Token, TokenError, now,
    subject::EntitySubject,
};

use crate::{memory::Memory, turns::Turns};

/// The stock in the journal: performs what the protocol of [`checkout::stock`] says, and nothing else. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Shelf {
    journal: Journal,
    memory: Arc<Memory>,
    turns: Arc<Turns>,
}

/// Why an operation on stock has not come to its end. It may be carried out anew.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The journal does not answer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The journal does not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The journal holds what the protocol cannot have written.
    #[error("stock: {0}")]
    Broken(#[from] StockError),
    /// An event cannot be written.
    #[error("stock: {0}")]
    Event(#[from] serde_json::Error),
    /// A name of the protocol is no token.
    #[error(transparent)]
    Name(#[from] TokenError),
}

impl Shelf {
    /// The stock in this journal.
    pub fn new(journal: Journal) -> Self {
        Self {
            journal,
            memory: Arc::default(),
            turns: Arc::default(),
        }
    }

    /// Carries `operation` out to its end. Under one id it comes to one outcome, whoever carries it out and however
    /// often.
    ///
    /// # Errors
    /// When the journal does not answer or is full; the operation is then somewhere on its way, and carrying it out
    /// anew brings it to its end.
    pub async fn carry_out(&self, mut operation: Operation) -> Result<Outcome, ShelfError> {
        let mut next = operation.next(Observed::Nothing);
        let mut turn = None;
        loop {
            match &next {
                Next::Load {
                    key: Key::Product(_), ..
                }
                | Next::Append(Append::Product(_)) => {
                    if turn.is_none() {
                        turn = self.turns.take(operation.products()).await;
                    }
                }
                Next::Append(_) => turn = None,
                Next::Load { .. } | Next::Done(_) | Next::Broken(_) => {}
            }
            let seen = match next {
                Next::Load { key, from } => self.load(&key, from).await?,
                Next::Append(append) => self.append(&append).await?,
                Next::Done(outcome) => return Ok(outcome),
                Next::Broken(error) => return Err(error.into()),
            };
            next = operation.next(seen);
        }
    }

    /// What is known of one product; `None` if it was never stocked.
    ///
    /// # Errors
    /// When the journal does not answer.
    pub async fn product(&self, sku: &Token) -> Result<Option<Product>, ShelfError> {
        Ok(self
            .last::<Product>(sku, Freshness::Leader)
            .await?
            .map(|seen| seen.state))
    }

    async fn load(&self, key: &Key, from: Source) -> Result<Observed, ShelfError> {
        let fresh = match (from, self.memory.recall(key)) {
            (Source::Shown, Some(known)) => return Ok(known),
            (Source::Anywhere, _) => Freshness::Any,
            (Source::Shown | Source::Leader, _) => Freshness::Leader,
        };
        let seen = match key {
            Key::Product(sku) => Observed::Product(self.last(sku, fresh).await?),
            Key::Reservation(order) => Observed::Reservation(self.last(order, fresh).await?),
            Key::Adjustment(id) => Observed::Adjustment(self.last(id, fresh).await?),
        };
        if fresh == Freshness::Leader {
            self.memory.keep(key, &seen);
        }
        Ok(seen)
    }

    async fn append(&self, append: &Append) -> Result<Observed, ShelfError> {
        let answer = match append {
            Append::Product(write) => self.write::<Product>(write).await?,
            Append::Reservation(write) => self.write::<Reservation>(write).await?,
            Append::Adjustment(write) => self.write::<Adjustment>(write).await?,
        };
        match answer {
            Ok(sequence) => {
                self.memory.wrote(append, sequence);
                Ok(Observed::Appended(sequence))
            }
            Err(AppendError::Stale { .. }) => Ok(Observed::Conflict),
            Err(AppendError::InFlight) => {
                tokio::time::sleep(Duration::from_millis(1)).await; // whoever is in flight lands meanwhile
                Ok(Observed::Unknown)
            }
            Err(AppendError::Unknown(_)) => Ok(Observed::Unknown),
            Err(error @ AppendError::Refused { .. }) => Err(error.into()),
        }
    }

    async fn last<E: Ledger>(&self, id: &Token, fresh: Freshness) -> Result<Option<Seen<E>>, ShelfError> {
        let found = self.journal.last::<E>(&subject::<E>(id)?, fresh).await?;
        Ok(found.map(|found| Seen {
            state: found.state,
            sequence: found.sequence,
        }))
    }

    /// The id of an event is derived from its place in its entity's chain: there is one for each.
    async fn write<E: Ledger>(&self, write: &Write<E>) -> Result<Result<u64, AppendError>, ShelfError> {
        let place = write.guard.to_string();
        let id = EventId::derived(E::KIND, write.id.as_str(), &place);
        let event_type = Token::new(write.event_type())?;
        let event = Event::<()>::new(id, event_type, now(), write.json()?);
        let event = event.with_state(Some(write.after()?));
        Ok(self
            .journal
            .append(&subject::<E>(&write.id)?, write.guard, &event)
            .await)
    }
}

fn subject<E: Ledger>(id: &Token) -> Result<EntitySubject, TokenError> {
    Ok(EntitySubject::new(&Token::new(E::KIND)?, id))
}
