use anyhow::{Context as _, Result};
use checkout::stock::{Operation, Product};
use inventory::Shelf;
use jetsaga::{
    Freshness, Letter, Recorded, State, StepStatus, Token,
    subject::{EVENTS, EntitySubject},
};
use jetsaga_cli::record::until_rest;

use super::{PATIENCE, System, until};

/// A message of the journal, as the server keeps it.
#[derive(Clone, Debug)]
pub struct RawEvent {
    /// Its stream sequence.
    pub sequence: u64,
    /// Where it was published.
    pub subject: String,
    /// What came with it.
    pub headers: async_nats::HeaderMap,
    /// What was published, as text.
    pub body: String,
}

/// Where a step stands.
pub fn step(state: &State, name: &str) -> StepStatus {
    state
        .steps
        .get(name)
        .map_or(StepStatus::Waiting, |step| step.status)
}

impl<S> System<S> {
    /// The subjects of one order's saga.
    ///
    /// # Errors
    /// When `id` is no token.
    pub fn entity(&self, id: &str) -> Result<EntitySubject> {
        Ok(EntitySubject::new(&Token::new("checkout")?, &Token::new(id)?))
    }

    /// The latest state of an order's saga.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn state(&self, id: &str) -> Result<Option<State>> {
        let found = self
            .journal
            .last::<State>(&self.entity(id)?, Freshness::Leader)
            .await?;
        Ok(found.map(|found| found.state))
    }

    /// Waits for a state of an order's saga, and returns it.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn until(&self, id: &str, what: &str, reached: impl Fn(&State) -> bool) -> Result<State> {
        let sought = until(what, async || Ok(self.state(id).await?.filter(&reached)));
        match sought.await {
            Ok(state) => Ok(state),
            Err(error) => Err(error.context(format!("{id} is at {:?}", self.state(id).await?))),
        }
    }

    /// Waits until an order is completed or cancelled, and returns its last state.
    ///
    /// # Errors
    /// When it does not come to an end.
    pub async fn until_final(&self, id: &str) -> Result<State> {
        self.until(id, "final", State::is_final).await
    }

    /// Everything that happened to an order, oldest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn history(&self, id: &str) -> Result<Vec<Recorded<State>>> {
        Ok(self.journal.history(&self.entity(id)?).await?)
    }

    /// Every message of the journal, as the server keeps it.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn raw_events(&self) -> Result<Vec<RawEvent>> {
        let stream = self.js.get_stream(EVENTS).await?;
        let mut events = Vec::new();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            let message = stream.get_raw_message(sequence).await?;
            events.push(RawEvent {
                sequence,
                subject: message.subject.to_string(),
                headers: message.headers,
                body: String::from_utf8_lossy(&message.payload).into_owned(),
            });
        }
        Ok(events)
    }

    /// The sequence of the journal's last event.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn journal_end(&self) -> Result<u64> {
        Ok(self
            .js
            .get_stream(EVENTS)
            .await?
            .cached_info()
            .state
            .last_sequence)
    }

    /// Waits until there are `count` dead letters, and returns them.
    ///
    /// # Errors
    /// When there are fewer, or more.
    pub async fn until_letters(&self, count: usize) -> Result<Vec<Letter>> {
        let what = format!("{count} letters");
        let letters = until(&what, async || {
            let letters = self.letters.list().await?;
            Ok(Some(letters).filter(|letters| letters.len() >= count))
        });
        let letters = letters.await?;
        let brief: Vec<_> = letters
            .iter()
            .map(|l| (&l.consumer, &l.subject, &l.detail))
            .collect();
        anyhow::ensure!(letters.len() == count, "{count} letters are wanted: {brief:#?}");
        Ok(letters)
    }

    /// Waits until nothing is under way: see [`until_rest`].
    ///
    /// # Errors
    /// When something is left.
    pub async fn until_idle(&self) -> Result<()> {
        until_rest(&self.nats, PATIENCE).await
    }

    /// Puts `quantity` of a product on hand, once.
    ///
    /// # Errors
    /// When the journal does not take it.
    pub async fn stock(&self, sku: &str, quantity: i64) -> Result<()> {
        let (operation, sku) = (Token::new(&format!("seed-{sku}"))?, Token::new(sku)?);
        self.shelf()
            .carry_out(Operation::adjust(operation, sku, quantity))
            .await?;
        Ok(())
    }

    /// What is known of a product.
    ///
    /// # Errors
    /// When there is no such product.
    pub async fn product(&self, sku: &str) -> Result<Product> {
        let product = self.shelf().product(&Token::new(sku)?).await?;
        product.with_context(|| format!("there is no {sku}"))
    }

    fn shelf(&self) -> Shelf {
        Shelf::new(self.journal.clone())
    }
}
