//! Messages that the server keeps until their time has come: deadlines and longer retries.

use std::time::Duration;

use async_nats::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use saga::{Timestamp, Token};

use crate::{
    AppendError,
    broker::Link,
    delivery::{ATTEMPT, Delivery, SEQUENCE, SINCE, STREAM, SUBJECT},
    faults::{Point, reach},
    subject,
    trace::Publishing,
};

/// How long a fired message waits for its worker before the server forgets it.
const LIFETIME: &str = "720h";

/// Arms the timer `name` of a saga. Arming it again for the same time changes nothing; it survives the death
/// of every process and fires 0.1 to 0.3 s late, never early.
pub(crate) async fn arm(
    link: &Link,
    kind: &Token,
    id: &Token,
    name: &str,
    at: Timestamp,
) -> Result<(), AppendError> {
    let headers = schedule(at, &subject::timer_due(kind, id, name))?;
    reach(Point::BeforeTimer).await?;
    publish(link, subject::timer(kind, id, name), headers, Bytes::new()).await?;
    Ok(reach(Point::AfterTimer).await?)
}

/// Has `delivery` come again to `worker` after `pause`, as the same trigger with its attempts counted.
/// Confirmed by the server when this returns: only then may the delivery be acknowledged.
pub(crate) async fn later(
    link: &Link,
    (kind, worker, id): (&Token, &str, &Token),
    delivery: &Delivery,
    now: Timestamp,
    pause: Duration,
    attempt: u32,
) -> Result<(), AppendError> {
    let target = subject::retry_due(kind, worker, id, delivery.sequence);
    let mut headers = schedule(now.after(pause), &target)?;
    headers.insert(SEQUENCE, HeaderValue::from(delivery.sequence));
    headers.insert(ATTEMPT, HeaderValue::from(attempt));
    headers.insert(SINCE, value(&delivery.since.unwrap_or(now).to_string())?);
    headers.insert(STREAM, value(&delivery.stream)?);
    headers.insert(SUBJECT, value(&delivery.subject)?);
    let subject = subject::retry(kind, worker, id, delivery.sequence);
    reach(Point::BeforeRetry).await?;
    publish(link, subject, headers, delivery.body.clone()).await?;
    Ok(reach(Point::AfterRetry).await?)
}

/// Publishes it as a part of the trace that it is done in.
async fn publish(
    link: &Link,
    subject: String,
    mut headers: HeaderMap,
    body: Bytes,
) -> Result<(), AppendError> {
    let publishing = Publishing::begin(&subject, &mut headers);
    let answer = link.broker.publish(subject, headers, body).await;
    publishing.end(answer.as_ref());
    answer.map(drop)
}

fn schedule(at: Timestamp, target: &str) -> Result<HeaderMap, AppendError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::NATS_SCHEDULE, value(&format!("@at {at}"))?);
    headers.insert(header::NATS_SCHEDULE_TARGET, value(target)?);
    headers.insert(header::NATS_SCHEDULE_TTL, value(LIFETIME)?);
    Ok(headers)
}

fn value(text: &str) -> Result<HeaderValue, AppendError> {
    text.parse().map_err(|_| AppendError::Refused {
        code: 0,
        text: format!("{text:?} fits no header"),
    })
}
