use std::{sync::Arc, time::Duration};

use async_nats::{
    Client, ConnectOptions,
    jetstream::{
        self, ErrorCode,
        context::{AccountError, AccountErrorKind},
    },
};
use tokio::time::{Instant, sleep};

use crate::{Metrics, broker::Link, jetstream::JetStream};

/// The oldest server whose guarded appends, scheduled messages and group commits are what the engine needs.
pub const OLDEST_SERVER: (u32, u32, u32) = (2, 14, 4);

/// How long one request to the server may take before its answer counts as unknown.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// One connection to a server that was found fit. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Nats {
    /// The plain connection.
    pub client: Client,
    /// JetStream on it.
    pub jetstream: jetstream::Context,
    /// Where its users count what they do.
    pub metrics: Metrics,
    /// What happens to its users on their way.
    #[cfg(feature = "testing")]
    pub script: crate::faults::Script,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers.
    #[error(
        "no nats-server answers at {url} ({why}); start one, or name another with --nats-url or JETSAGA_NATS_URL"
    )]
    Absent {
        /// Where it was sought.
        url: String,
        /// What the connection said.
        why: String,
    },
    /// It is too old.
    #[error(
        "nats-server at {url} is {found}, but jetsaga needs 2.14.4 or newer: older ones lack what the guarded append rests on"
    )]
    TooOld {
        /// Where it is.
        url: String,
        /// Its version.
        found: String,
    },
    /// The script of a test is wrong.
    #[cfg(feature = "testing")]
    #[error("{0}")]
    Script(String),
    /// It has no JetStream.
    #[error("nats-server at {url} runs without JetStream; start it with -js and a store directory (-sd)")]
    NoJetStream {
        /// Where it is.
        url: String,
    },
}

impl Nats {
    /// Connects as `name` and checks that the server can carry the engine.
    ///
    /// # Errors
    /// When nobody answers within five seconds, or the server is too old or has no JetStream.
    pub async fn connect(url: &str, name: &str) -> Result<Self, ConnectError> {
        let shown = without_secret(url);
        let absent = |why: &dyn std::fmt::Display| ConnectError::Absent {
            url: shown.clone(),
            why: why.to_string(),
        };
        let options = ConnectOptions::new()
            .name(name)
            .connection_timeout(REQUEST_TIMEOUT)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .event_callback(|event| async move {
                tracing::info!(%event, "nats");
            });
        let client = options.connect(url).await.map_err(|error| absent(&error))?;
        let server = client.server_info();
        if parse_version(&server.version).is_none_or(|found| found < OLDEST_SERVER) {
            return Err(ConnectError::TooOld {
                url: shown,
                found: server.version,
            });
        }
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(REQUEST_TIMEOUT);
        if !server.jetstream {
            return Err(ConnectError::NoJetStream { url: shown.clone() });
        }
        answers(&jetstream).await.map_err(|error| {
            if is_off(&error) {
                return ConnectError::NoJetStream { url: shown.clone() };
            }
            absent(&format_args!("JetStream does not answer: {error}"))
        })?;
        Ok(Self {
            client,
            jetstream,
            metrics: Metrics::new(),
            #[cfg(feature = "testing")]
            script: crate::faults::Script::from_environment().map_err(ConnectError::Script)?,
        })
    }
}

impl Nats {
    /// What the engine asks of this connection.
    pub fn link(&self) -> Link {
        Link {
            broker: Arc::new(JetStream::new(self.client.clone(), self.jetstream.clone())),
            metrics: self.metrics.clone(),
            #[cfg(feature = "testing")]
            script: self.script.clone(),
        }
    }
}

/// Waits until JetStream answers: a cluster that has just lost its leader takes a moment.
async fn answers(jetstream: &jetstream::Context) -> Result<(), AccountError> {
    let limit = Instant::now() + 2 * REQUEST_TIMEOUT;
    loop {
        match jetstream.query_account().await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > limit || is_off(&error) => return Err(error),
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

/// True if the server says that there is no JetStream, and not only that nobody leads it now.
fn is_off(error: &AccountError) -> bool {
    let AccountErrorKind::JetStream(error) = error.kind() else {
        return false;
    };
    let off = [
        ErrorCode::JETSTREAM_NOT_ENABLED,
        ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT,
    ];
    off.contains(&error.error_code())
}

/// The address without the user and password in it, for whoever reads an error.
fn without_secret(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            let join = if scheme.is_empty() { "" } else { "://" };
            format!("{scheme}{join}{host}")
        }
        None => url.to_owned(),
    }
}

/// The numbers of `2.15.1` or `2.15.1-RC.2`.
fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = text.split(['.', '-']).map(str::parse);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch))) => Some((major, minor, patch)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_no_secret() {
        for (url, shown) in [
            ("nats://u:secret@10.0.0.1:4222", "nats://10.0.0.1:4222"),
            ("u:secret@host", "host"),
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
        ] {
            assert_eq!(without_secret(url), shown);
        }
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(parse_version("2.15.1"), Some((2, 15, 1)));
        assert_eq!(parse_version("2.14.4-RC.1"), Some((2, 14, 4)));
        assert!(parse_version("2.9.25").unwrap() < OLDEST_SERVER);
        assert_eq!(parse_version("dev"), None);
    }
}
