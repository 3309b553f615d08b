use std::fmt;

use async_nats::{Event, ServerError};
use tokio::sync::watch;

use crate::ConnectionArgs;

/// What the server does not let its user do, as it last said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// `publish to` or `subscribe to`.
    pub doing: &'static str,
    /// The subject.
    pub subject: String,
}

/// Logs what happens to the connection.
pub(crate) fn heard(event: &Event, files: &ConnectionArgs, violated: &watch::Sender<Option<Violation>>) {
    match event {
        Event::ServerError(ServerError::Other(text)) if let Some(violation) = Violation::read(text) => {
            tracing::error!(
                subject = violation.subject,
                "the nats-server does not let us {}",
                violation.doing
            );
            violated.send_replace(Some(violation));
        }
        Event::ServerError(_) | Event::ClientError(_) => match files.check() {
            Ok(()) => tracing::warn!(%event, "nats"),
            Err(error) => tracing::error!(%event, %error, "nats: trying again"),
        },
        _ => tracing::info!(%event, "nats"),
    }
}

/// Waits until something was not allowed.
pub(crate) async fn first(mut violation: watch::Receiver<Option<Violation>>) -> Violation {
    loop {
        if let Some(violation) = violation.borrow_and_update().clone() {
            return violation;
        }
        if violation.changed().await.is_err() {
            std::future::pending::<()>().await; // the connection has ended; whoever asks hears so
        }
    }
}

impl Violation {
    /// Reads `Permissions Violation for Publish to "x"` or `… for Subscription to "x"`.
    fn read(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let at = lower.find("permissions violation for ")?;
        let doing = if lower[at..].starts_with("permissions violation for publish") {
            "publish to"
        } else {
            "subscribe to"
        };
        let subject = text.split('"').nth(1).unwrap_or(text).to_owned();
        Some(Self { doing, subject })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.doing, self.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_names_its_subject() {
        let read = |text| Violation::read(text).map(|found| found.to_string());
        let publish = r#"Permissions Violation for Publish to "evt.a.B.c""#;
        assert_eq!(read(publish).unwrap(), "publish to evt.a.B.c");
        let subscription = r#"Permissions Violation for Subscription to "_INBOX.>""#;
        assert_eq!(read(subscription).unwrap(), "subscribe to _INBOX.>");
        assert_eq!(read("Stale Connection"), None);
    }
}
