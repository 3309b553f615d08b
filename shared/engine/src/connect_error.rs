//! Why there is no connection, in the words of whoever has to make one.

use std::{error::Error, fmt::Display, io};

use async_nats::{
    ConnectErrorKind,
    rustls::{self, AlertDescription, CertificateError},
};

use crate::{ConnectionArgs, FileError, Restoring, Violation, nats::without_secret};

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
    /// A file is of no use.
    #[error(transparent)]
    File(#[from] FileError),
    /// The URL holds a secret.
    #[error(
        "the URL of nats-server {url} names a user or password, which the environment and the list of processes would \
         show; leave them out, and name a file with --nats-nkey-file or --nats-credentials-file"
    )]
    Secret {
        /// The URL without them.
        url: String,
    },
    /// The server does not know us.
    #[error("nats-server at {url} lets nobody in without a name it knows: {why}")]
    Refused {
        /// Where it is.
        url: String,
        /// Who we said that we are, and what would be right.
        why: String,
    },
    /// The server knows us, but does not let us do what everybody has to.
    #[error(
        "nats-server at {url} does not let this key {violation}, as {user} has to; name the key of {user} with \
         --nats-nkey-file, or give it the permissions that `jetsaga topology users` prints"
    )]
    Forbidden {
        /// Where it is.
        url: String,
        /// Who we are.
        user: String,
        /// What is not allowed.
        violation: Violation,
    },
    /// There is no TLS between us.
    #[error("no TLS with nats-server at {url}: {why}")]
    Tls {
        /// Where it is.
        url: String,
        /// What is wrong, and what would be right.
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
    /// There is a part of a system.
    #[error("nats-server at {url} is not to be used: {restoring}")]
    Restoring {
        /// Where it is.
        url: String,
        /// What puts the rest there, or did not.
        restoring: Restoring,
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

impl ConnectError {
    /// What the client's error means for whoever gave these flags.
    pub(crate) fn of(error: &async_nats::ConnectError, args: &ConnectionArgs) -> Self {
        let url = without_secret(&args.nats_url);
        match error.kind() {
            // A file that was good a moment ago.
            ConnectErrorKind::Authentication => match args.check() {
                Err(file) => Self::File(file),
                Ok(()) => refused(url, args),
            },
            ConnectErrorKind::AuthorizationViolation => refused(url, args),
            ConnectErrorKind::Tls | ConnectErrorKind::Io => match tls(error, args) {
                Some(why) => Self::Tls { url, why },
                None => absent(url, error),
            },
            _ => absent(url, error),
        }
    }
}

fn absent(url: String, why: &dyn Display) -> ConnectError {
    let why = why.to_string();
    ConnectError::Absent { url, why }
}

fn refused(url: String, args: &ConnectionArgs) -> ConnectError {
    let why = match (
        args.public_key(),
        &args.nats_nkey_file,
        &args.nats_credentials_file,
    ) {
        (Ok(Some(key)), Some(path), _) => format!(
            "none of its users has the public key {key} of the seed in {}; add it there and reload the server, or name \
             another seed with --nats-nkey-file",
            path.display()
        ),
        (_, _, Some(path)) => format!(
            "it does not take the credentials in {}; name others with --nats-credentials-file",
            path.display()
        ),
        _ => "name the seed of a user with --nats-nkey-file or JETSAGA_NATS_NKEY_FILE".to_owned(),
    };
    ConnectError::Refused { url, why }
}

/// What is wrong with the TLS of this connection, if that is what it failed for.
fn tls(error: &async_nats::ConnectError, args: &ConnectionArgs) -> Option<String> {
    let at_tls = error.kind() == ConnectErrorKind::Tls;
    let Some(source) = error.source() else {
        return at_tls.then(|| error.to_string());
    };
    if let Some(found) = rustls_error(source) {
        return Some(told(found, args));
    }
    if at_tls {
        return Some(match &args.nats_ca_file {
            Some(_) => source.to_string(),
            None => format!("{source}; name the authorities of its certificate with --nats-ca-file"),
        });
    }
    // A server that turns a client away may hang up before its reason is read.
    let hung_up = [
        io::ErrorKind::BrokenPipe,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::UnexpectedEof,
    ];
    let broken = source.to_string() == "broken pipe"
        || source
            .downcast_ref::<io::Error>()
            .is_some_and(|error| hung_up.contains(&error.kind()));
    (broken && args.wants_tls()).then(|| format!("it hung up ({source}); {}", about_us(args)))
}

/// The error of rustls in `error` or behind it.
fn rustls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn told(error: &rustls::Error, args: &ConnectionArgs) -> String {
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => match &args.nats_ca_file {
            Some(path) => format!(
                "no authority in {} has signed its certificate; name the file of the one that has with --nats-ca-file",
                path.display()
            ),
            None => "no authority of this system has signed its certificate; name the file of the one that has with \
                     --nats-ca-file"
                .to_owned(),
        },
        rustls::Error::InvalidCertificate(why) => format!("its certificate is of no use: {why}"),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            format!("it wants a certificate of ours; {}", about_us(args))
        }
        rustls::Error::AlertReceived(alert) => format!("it says {alert:?}; {}", about_us(args)),
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS on this port; configure it there, or leave out --nats-ca-file and tls://".to_owned()
        }
        other => other.to_string(),
    }
}

fn about_us(args: &ConnectionArgs) -> String {
    match &args.nats_cert_file {
        Some(path) => format!(
            "if it does not take the certificate in {}, name another with --nats-cert-file and --nats-key-file",
            path.display()
        ),
        None => "if it asks clients for a certificate, name one with --nats-cert-file and --nats-key-file"
            .to_owned(),
    }
}
