use async_nats::{HeaderMap, HeaderValue};
use saga::Token;

use crate::{
    Nats,
    delivery::{ATTEMPT, SEQUENCE, STREAM, SUBJECT},
    journal::publish,
    subject::{self, EVENTS, EntitySubject},
};

/// Hands event `sequence` of the journal once more to `worker`, the name of a step or [`subject::OWNER`], as a redriven
/// letter would be: through that worker's retries, with its attempts counted anew. The server has it when this
/// returns. What was handled before changes nothing the second time.
///
/// # Errors
/// When there is no such event, or the server does not take it.
pub async fn nudge(nats: &Nats, worker: &Token, sequence: u64) -> anyhow::Result<()> {
    let stream = nats.jetstream.get_stream_no_info(EVENTS).await?;
    let event = stream.get_raw_message(sequence).await?;
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
    publish(nats, again, headers, event.payload).await?;
    Ok(())
}
