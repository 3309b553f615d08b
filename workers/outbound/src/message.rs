use async_nats::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use jetsaga::{Entry, Event};
use serde::de::IgnoredAny;

/// The header that names the journal sequence which a message came from.
pub const SEQUENCE: HeaderName = HeaderName::from_static("Jetsaga-Sequence");
/// The header that says when the journal stored the event.
const STORED_AT: HeaderName = HeaderName::from_static("Jetsaga-Stored-At");
/// The headers of the trace that the event belongs to.
const TRACE: [HeaderName; 2] = [
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// An event that cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {sequence} of the journal, on {subject}, is not told to outsiders: {why}")]
pub struct Unfit {
    sequence: u64,
    subject: String,
    why: String,
}

/// What outsiders hear of an event: the subject, the headers, and the event without its state.
///
/// # Errors
/// When it is no event.
pub fn message(entry: &Entry) -> Result<(String, HeaderMap, Bytes), Unfit> {
    let unfit = |why: String| Unfit {
        sequence: entry.sequence,
        subject: entry.subject.clone(),
        why,
    };
    let rest = entry.subject.strip_prefix("evt.");
    let rest = rest
        .filter(|_| entry.entity().is_some())
        .ok_or_else(|| unfit("that is no subject of an event".to_owned()))?;
    // The state is skipped, whatever it is.
    let event: Event<IgnoredAny> =
        serde_json::from_slice(&entry.body).map_err(|error| unfit(format!("it is no event: {error}")))?;
    let body = serde_json::to_vec(&event.with_state(None::<()>));
    let body = body.map_err(|error| unfit(error.to_string()))?;
    Ok((format!("out.{rest}"), headers(entry), body.into()))
}

fn headers(entry: &Entry) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(SEQUENCE, HeaderValue::from(entry.sequence));
    headers.insert(STORED_AT, entry.stored_at.to_string());
    for name in TRACE {
        if let Some(value) = entry.headers.get(name.clone()) {
            headers.insert(name, value.clone());
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use jetsaga::Timestamp;

    use super::*;

    fn entry(subject: &str, body: &str) -> Entry {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", "7");
        headers.insert("traceparent", "00-1-2-01");
        headers.insert("tracestate", "a=b");
        Entry {
            sequence: 8,
            guard: 7,
            stored_at: Timestamp::EPOCH,
            subject: subject.to_owned(),
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
            pending: 0,
        }
    }

    #[test]
    fn it_carries_the_payload_to_the_digit_and_no_state() {
        let told = r#"{"eventId":"a1b2c3d4-e5f6-7890-1234-567890abcdef","eventType":"OrderCreated","timestamp":"2023-10-27T10:30:00Z","payload":{"totalAmount":75.50}}"#;
        let kept = format!(
            "{},\"state\":{{\"secret\":[1]}}}}",
            told.strip_suffix('}').unwrap()
        );
        let (subject, headers, body) = message(&entry("evt.checkout.OrderCreated.ORD-1", &kept)).unwrap();
        assert_eq!(subject, "out.checkout.OrderCreated.ORD-1");
        assert_eq!(std::str::from_utf8(&body).unwrap(), told);
        let names = [
            "Jetsaga-Sequence",
            "Jetsaga-Stored-At",
            "traceparent",
            "tracestate",
        ];
        assert_eq!(headers.len(), names.len());
        assert!(names.iter().all(|name| headers.get(*name).is_some()));
    }

    #[test]
    fn what_is_no_event_is_not_told() {
        for (subject, body) in [("evt.a.B.c", "garbage"), ("evt.a.b", "{}"), ("in.a.B", "{}")] {
            let unfit = message(&entry(subject, body)).unwrap_err().to_string();
            assert!(unfit.contains("event 8") && unfit.contains(subject), "{unfit}");
        }
    }
}
