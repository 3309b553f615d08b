use async_nats::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use saga::EventId;

use crate::{AppendError, Nats, journal::publish, subject};

/// What a mark found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Nobody had marked this event id.
    First,
    /// It was marked before, with this body.
    Before(Bytes),
}

/// Marks `event` as handled by `consumer`, once: a guarded first append. The mark is kept for
/// [`crate::SEEN_FOR`].
pub(crate) async fn mark(
    nats: &Nats,
    consumer: &str,
    event: EventId,
    body: Bytes,
) -> Result<Mark, AppendError> {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
        HeaderValue::from(0_u64),
    );
    let subject = subject::seen(consumer, event);
    match publish(nats, subject, headers, body).await {
        Ok(_) => Ok(Mark::First),
        Err(AppendError::Stale { .. }) => match look(nats, consumer, event).await? {
            Some(body) => Ok(Mark::Before(body)),
            None => Err(AppendError::InFlight), // its mark ended between the two requests
        },
        Err(error) => Err(error),
    }
}

/// The mark that `consumer` left for `event`, read from the leader.
pub(crate) async fn look(nats: &Nats, consumer: &str, event: EventId) -> Result<Option<Bytes>, AppendError> {
    let unknown = |error: &dyn std::fmt::Display| AppendError::Unknown(error.to_string());
    let stream = nats
        .jetstream
        .get_stream_no_info(subject::SEEN)
        .await
        .map_err(|e| unknown(&e))?;
    match stream
        .get_last_raw_message_by_subject(&subject::seen(consumer, event))
        .await
    {
        Ok(message) => Ok(Some(message.payload)),
        Err(error)
            if error.kind() == async_nats::jetstream::stream::LastRawMessageErrorKind::NoMessageFound =>
        {
            Ok(None)
        }
        Err(error) => Err(unknown(&error)),
    }
}
