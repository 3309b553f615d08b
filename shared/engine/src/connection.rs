use std::path::PathBuf;

use async_nats::{Auth, AuthError, ConnectOptions};
use clap::Args;

use crate::secret_files::{
    CA, CERT, FileError, certificates, credentials, nkey, private_key, signed_by_credentials, signed_by_nkey,
};

/// Where the nats-servers are, and who we are to them. Nothing of it is a secret: what is one stands in a file, which is
/// read anew whenever a connection is made.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct ConnectionArgs {
    /// Where the nats-server is; several of one cluster with commas. `tls://` requires TLS.
    #[arg(
        long,
        global = true,
        env = "JETSAGA_NATS_URL",
        default_value = "nats://127.0.0.1:4222",
        hide_env_values = true,
        value_parser = nats_url
    )]
    pub nats_url: String,

    /// The file with the seed (SU…) of the user's nkey. It may be replaced while the process runs.
    #[arg(
        long,
        global = true,
        env = "JETSAGA_NATS_NKEY_FILE",
        value_name = "FILE",
        conflicts_with = "nats_credentials_file"
    )]
    pub nats_nkey_file: Option<PathBuf>,

    /// The user's .creds file, for servers whose accounts are JWTs. It may be replaced while the process runs.
    #[arg(
        long,
        global = true,
        env = "JETSAGA_NATS_CREDENTIALS_FILE",
        value_name = "FILE"
    )]
    pub nats_credentials_file: Option<PathBuf>,

    /// The PEM file of the authorities that the server's certificate is checked against; requires TLS. Without it the
    /// system's are asked.
    #[arg(long, global = true, env = "JETSAGA_NATS_CA_FILE", value_name = "FILE")]
    pub nats_ca_file: Option<PathBuf>,

    /// The PEM file of the certificate that we show to the server; requires TLS. It may be replaced while the process
    /// runs.
    #[arg(
        long,
        global = true,
        env = "JETSAGA_NATS_CERT_FILE",
        value_name = "FILE",
        requires = "nats_key_file"
    )]
    pub nats_cert_file: Option<PathBuf>,

    /// The PEM file of that certificate's private key.
    #[arg(
        long,
        global = true,
        env = "JETSAGA_NATS_KEY_FILE",
        value_name = "FILE",
        requires = "nats_cert_file"
    )]
    pub nats_key_file: Option<PathBuf>,
}

impl ConnectionArgs {
    /// A connection to `url` by nobody in particular, without TLS unless the URL or the server wants it.
    pub fn to(url: &str) -> Self {
        Self {
            nats_url: url.to_owned(),
            nats_nkey_file: None,
            nats_credentials_file: None,
            nats_ca_file: None,
            nats_cert_file: None,
            nats_key_file: None,
        }
    }

    /// The servers.
    pub(crate) fn servers(&self) -> Vec<String> {
        self.nats_url
            .split(',')
            .map(|url| url.trim().to_owned())
            .collect()
    }

    /// True if no connection is made without TLS.
    pub(crate) fn wants_tls(&self) -> bool {
        let files = [&self.nats_ca_file, &self.nats_cert_file];
        files.iter().any(|file| file.is_some()) || self.servers().iter().any(|url| url.starts_with("tls://"))
    }

    /// Whether every file that is named can be used now.
    ///
    /// # Errors
    /// Names the first that cannot.
    pub fn check(&self) -> Result<(), FileError> {
        self.public_key()?;
        if let Some(path) = &self.nats_credentials_file {
            credentials(path)?;
        }
        for (named, path) in [(&CA, &self.nats_ca_file), (&CERT, &self.nats_cert_file)] {
            if let Some(path) = path {
                certificates(named, path)?;
            }
        }
        match &self.nats_key_file {
            Some(path) => private_key(path),
            None => Ok(()),
        }
    }

    /// The public key of the nkey that is named, as the server's configuration knows the user.
    ///
    /// # Errors
    /// When the file holds no seed.
    pub fn public_key(&self) -> Result<Option<String>, FileError> {
        let path = self.nats_nkey_file.as_deref();
        path.map(|path| nkey(path).map(|pair| pair.public_key()))
            .transpose()
    }

    /// What a client needs to be told of all this. Every file is read at each attempt to connect.
    pub(crate) fn options(&self) -> ConnectOptions {
        let mut options = match (self.nats_nkey_file.clone(), self.nats_credentials_file.clone()) {
            (Some(path), _) => {
                ConnectOptions::with_auth_callback(move |nonce| answer(signed_by_nkey(&path, &nonce)))
            }
            (None, Some(path)) => {
                ConnectOptions::with_auth_callback(move |nonce| answer(signed_by_credentials(&path, &nonce)))
            }
            (None, None) => ConnectOptions::new(),
        };
        if self.wants_tls() {
            options = options.require_tls(true);
        }
        if let Some(path) = self.nats_ca_file.clone() {
            options = options.add_root_certificates(path);
        }
        if let (Some(cert), Some(key)) = (self.nats_cert_file.clone(), self.nats_key_file.clone()) {
            options = options.add_client_certificate(cert, key);
        }
        options
    }
}

async fn answer(signed: Result<Auth, FileError>) -> Result<Auth, AuthError> {
    signed.map_err(AuthError::new)
}

fn nats_url(text: &str) -> Result<String, String> {
    let wrong = |url: &str, why: &str| {
        format!(
            "JETSAGA_NATS_URL is {url:?}: {why}; it takes URLs such as nats://127.0.0.1:4222, several with commas"
        )
    };
    if text.contains('@') {
        return Ok(text.to_owned()); // refused when it is used, by an error that does not show it; one from here would
    }
    for url in text.split(',').map(str::trim) {
        match url.parse::<async_nats::ServerAddr>() {
            Ok(server) if server.host().is_empty() => return Err(wrong(url, "it names no host")),
            Ok(_) => {}
            Err(error) => return Err(wrong(url, &error.to_string())),
        }
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_servers_are_checked_one_by_one() {
        assert!(nats_url("nats://a:4222,tls://b:4222").is_ok());
        let said = nats_url("nats://a:4222,nats://").unwrap_err();
        assert!(
            said.contains("\"nats://\"") && said.contains("JETSAGA_NATS_URL"),
            "{said}"
        );
        assert!(
            nats_url("nats://u:s3cret@host:xx").is_ok(),
            "it is not shown here"
        );
        assert!(ConnectionArgs::to("nats://a,tls://b").wants_tls());
        assert!(!ConnectionArgs::to("nats://a,nats://b").wants_tls());
    }
}
