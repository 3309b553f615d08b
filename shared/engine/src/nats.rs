use std::{sync::Arc, time::Duration};

use async_nats::{
    Client,
    jetstream::{
        self, ErrorCode,
        context::{AccountError, AccountErrorKind},
    },
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{
    ConnectError, ConnectionArgs, Metrics, Restoring,
    broker::Link,
    jetstream::JetStream,
    use_ring,
    violation::{first, heard},
};

/// The oldest server whose guarded appends, scheduled messages and group commits are what the engine needs.
pub const OLDEST_SERVER: (u32, u32, u32) = (2, 14, 4);

/// How long one request to the server may take before its answer counts as unknown.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// When to ask again what nobody could tell.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Work,
    Restore,
}

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

impl Nats {
    /// Connects to `url` as `name` with nothing else given, see [`Self::connect_with`].
    ///
    /// # Errors
    /// As [`Self::connect_with`].
    pub async fn connect(url: &str, name: &str) -> Result<Self, ConnectError> {
        Self::connect_with(&ConnectionArgs::to(url), name).await
    }

    /// Connects as `name` and checks that the server can carry the engine. Answers come to `_INBOX.<user>.>`, where the
    /// user is the name as [`user_of`] has it, so that a server can keep them from everybody else. Whenever the connection
    /// is made again, every file of `args` is read again.
    ///
    /// # Errors
    /// When a file is of no use, nobody answers within five seconds, the server does not let us in, it is too old or has no
    /// JetStream, or a restore is not complete there.
    pub async fn connect_with(args: &ConnectionArgs, name: &str) -> Result<Self, ConnectError> {
        Self::connected(args, name, Purpose::Work).await
    }

    /// The same for a restore itself, which may find one that is not complete.
    ///
    /// # Errors
    /// As [`Self::connect_with`], but for that.
    pub async fn connect_to_restore(args: &ConnectionArgs, name: &str) -> Result<Self, ConnectError> {
        Self::connected(args, name, Purpose::Restore).await
    }

    /// Ends the connection for all who share it, once what they sent is on its way, and waits for its end, a second at most.
    /// Whoever ends the server afterwards is not taken for a server that was lost.
    pub async fn close(&self) {
        let ended = async {
            if self.client.drain().await.is_ok() {
                while self.client.flush().await.is_ok() {} // it fails as soon as there is no connection
            }
        };
        let _ = timeout(Duration::from_secs(1), ended).await; // else it ends with the process
    }

    async fn connected(args: &ConnectionArgs, name: &str, purpose: Purpose) -> Result<Self, ConnectError> {
        use_ring();
        let shown = without_secret(&args.nats_url);
        if shown != args.nats_url {
            return Err(ConnectError::Secret { url: shown });
        }
        args.check()?;
        let (violated, violation) = watch::channel(None);
        let (user, files) = (user_of(name), args.clone());
        let options = args
            .options()
            .name(name)
            .custom_inbox_prefix(format!("_INBOX.{user}"))
            .connection_timeout(REQUEST_TIMEOUT)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .event_callback(move |event| {
                heard(&event, &files, &violated);
                async {}
            });
        let client = options.connect(args.servers()).await;
        let client = client.map_err(|error| ConnectError::of(&error, args))?;
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
        tokio::select! {
            found = fit(&jetstream, &shown, purpose) => found?,
            violation = first(violation) => {
                return Err(ConnectError::Forbidden { url: shown, user, violation });
            }
        }
        Ok(Self {
            client,
            jetstream,
            metrics: Metrics::new(),
            #[cfg(feature = "testing")]
            script: crate::faults::Script::from_environment().map_err(ConnectError::Script)?,
        })
    }
}

/// The user that a process of this name is to the server: the name without a leading `jetsaga-`, as one subject token.
pub fn user_of(name: &str) -> String {
    let fits = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    name.strip_prefix("jetsaga-")
        .unwrap_or(name)
        .chars()
        .map(fits)
        .collect()
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

/// Whether JetStream answers, and no part of a system is there that work would take for the whole.
async fn fit(jetstream: &jetstream::Context, url: &str, purpose: Purpose) -> Result<(), ConnectError> {
    let url = url.to_owned();
    match answers(jetstream).await {
        Ok(()) => {}
        Err(error) if is_off(&error) => return Err(ConnectError::NoJetStream { url }),
        Err(error) => {
            let why = format!("JetStream does not answer: {error}");
            return Err(ConnectError::Absent { url, why });
        }
    }
    if purpose == Purpose::Restore {
        return Ok(());
    }
    match Restoring::found(jetstream).await {
        Ok(None) => Ok(()),
        Ok(Some(restoring)) => Err(ConnectError::Restoring { url, restoring }),
        Err(why) => Err(ConnectError::Absent { url, why }),
    }
}

/// Waits until JetStream answers: a cluster that has just lost its leader takes a moment.
async fn answers(jetstream: &jetstream::Context) -> Result<(), AccountError> {
    let limit = Instant::now() + 2 * REQUEST_TIMEOUT;
    loop {
        match jetstream.query_account().await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > limit || is_off(&error) => return Err(error),
            Err(_) => sleep(LOOK_AGAIN).await,
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

/// The addresses without the users and passwords in them, for whoever reads an error.
pub(crate) fn without_secret(urls: &str) -> String {
    // A secret may have a comma in it: what stands before the last sign is one text.
    match urls.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            let join = if scheme.is_empty() { "" } else { "://" };
            format!("{scheme}{join}{host}")
        }
        None => urls.to_owned(),
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
            ("nats://a:b@h:1,nats://token@i:2", "nats://i:2"),
            ("nats://u:s3,cret@host", "nats://host"),
        ] {
            assert_eq!(without_secret(url), shown);
        }
    }

    #[test]
    fn a_user_is_one_token() {
        for (name, user) in [
            ("jetsaga-order", "order"),
            ("trip-hotel", "trip-hotel"),
            ("a.b >", "a_b__"),
        ] {
            assert_eq!(user_of(name), user);
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
