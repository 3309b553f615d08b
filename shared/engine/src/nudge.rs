use async_nats::{HeaderMap, HeaderValue};
use saga::Token;

use crate::{
    Journal,
    delivery::{ATTEMPT, SEQUENCE, STREAM, SUBJECT},
    subject::{self, EVENTS, EntitySubject},
};

impl Journal {
    /// Hands event `sequence` once more to `worker`, the name of a step or [`subject::OWNER`], as a redriven letter would
    /// be: through that worker's retries, with its attempts counted anew. The server has it when this returns. What was
    /// handled before changes nothing the second time.
    ///
    /// # Errors
    /// When there is no such event, or the server does not take it.
    pub async fn nudge(&self, worker: &Token, sequence: u64) -> anyhow::Result<()> {
        let broker = &self.link().broker;
        let Some(event) = broker.at(EVENTS, sequence).await? else {
            anyhow::bail!("the journal has no event {sequence}");
        };
        let Some((entity, _)) = EntitySubject::parse(&event.subject) else {
            anyhow::bail!(
                "message {sequence} of the journal is on {}, which is no event's",
                event.subject
            );
        };
        let mut headers = HeaderMap::new();
        headers.insert(SEQUENCE, HeaderValue::from(sequence));
        headers.insert(ATTEMPT, HeaderValue::from(0_u64));
        headers.insert(STREAM, EVENTS);
        headers.insert(SUBJECT, event.subject.as_str());
        let again = subject::retry_due(entity.kind(), worker.as_str(), entity.id(), sequence);
        broker.publish(again, headers, event.body).await?;
        Ok(())
    }
}
