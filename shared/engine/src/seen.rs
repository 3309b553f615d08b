use async_nats::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use saga::EventId;

use crate::{
    AppendError, ReadError,
    broker::{Link, Source},
    faults::{Point, reach},
    subject::{self, SEEN},
};

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
    link: &Link,
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
    reach(Point::BeforeMark).await?;
    let mut answer = link.broker.publish(subject, headers, body).await;
    if let (Ok(_), Err(lost)) = (&answer, reach(Point::AfterMark).await) {
        answer = Err(lost.into());
    }
    match answer {
        Ok(_) => Ok(Mark::First),
        Err(AppendError::Stale { .. }) => match look(link, consumer, event).await {
            Ok(Some(body)) => Ok(Mark::Before(body)),
            Ok(None) => Err(AppendError::InFlight), // its mark ended between the two requests
            Err(error) => Err(AppendError::Unknown(error.to_string())),
        },
        Err(error) => Err(error),
    }
}

/// The mark that `consumer` left for `event`, read from the leader.
pub(crate) async fn look(link: &Link, consumer: &str, event: EventId) -> Result<Option<Bytes>, ReadError> {
    let subject = subject::seen(consumer, event);
    let found = link.broker.last(SEEN, &subject, Source::Leader).await?;
    Ok(found.map(|mark| mark.body))
}
