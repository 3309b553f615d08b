//! The files of a connection: what is read from them, and what is said of one that is of no use. None of it shows what is in
//! a file.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use async_nats::{
    Auth,
    rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use nkeys::{KeyPair, KeyPairType};

/// Why a file of the connection is of no use. It never tells what is in the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag} ({variable}) names {}, but {why}; it takes {takes}", path.display())]
pub struct FileError {
    flag: &'static str,
    variable: &'static str,
    path: PathBuf,
    why: String,
    takes: &'static str,
}

/// A flag that names a file.
pub(crate) struct Named {
    flag: &'static str,
    variable: &'static str,
    takes: &'static str,
}

const NKEY: Named = Named {
    flag: "--nats-nkey-file",
    variable: "JETSAGA_NATS_NKEY_FILE",
    takes: "a file with the seed of a user's nkey, which begins with SU",
};
const CREDENTIALS: Named = Named {
    flag: "--nats-credentials-file",
    variable: "JETSAGA_NATS_CREDENTIALS_FILE",
    takes: "a .creds file with the JWT of a user and the seed of its nkey",
};
pub(crate) const CA: Named = Named {
    flag: "--nats-ca-file",
    variable: "JETSAGA_NATS_CA_FILE",
    takes: "a PEM file with one certificate or more",
};
pub(crate) const CERT: Named = Named {
    flag: "--nats-cert-file",
    variable: "JETSAGA_NATS_CERT_FILE",
    takes: CA.takes,
};
const KEY: Named = Named {
    flag: "--nats-key-file",
    variable: "JETSAGA_NATS_KEY_FILE",
    takes: "a PEM file with a private key",
};

pub(crate) fn signed_by_nkey(path: &Path, nonce: &[u8]) -> Result<Auth, FileError> {
    let pair = nkey(path)?;
    let mut auth = Auth::new();
    auth.signature = Some(pair.sign(nonce).map_err(|_| NKEY.error(path, NO_SEED))?);
    auth.nkey = Some(pair.public_key());
    Ok(auth)
}

pub(crate) fn signed_by_credentials(path: &Path, nonce: &[u8]) -> Result<Auth, FileError> {
    let (jwt, pair) = credentials(path)?;
    let mut auth = Auth::new();
    auth.signature = Some(pair.sign(nonce).map_err(|_| CREDENTIALS.error(path, NO_SEED))?);
    auth.jwt = Some(jwt);
    Ok(auth)
}

const NO_SEED: &str = "there is no seed of a user in it";

pub(crate) fn nkey(path: &Path) -> Result<KeyPair, FileError> {
    let text = NKEY.read(path)?;
    user(text.trim()).ok_or_else(|| NKEY.error(path, NO_SEED))
}

fn user(seed: &str) -> Option<KeyPair> {
    let pair = KeyPair::from_seed(seed).ok()?;
    matches!(pair.key_pair_type(), KeyPairType::User).then_some(pair)
}

/// The JWT and the nkey of a .creds file: each the line after one that begins with dashes and BEGIN.
pub(crate) fn credentials(path: &Path) -> Result<(String, KeyPair), FileError> {
    let text = CREDENTIALS.read(path)?;
    let mut lines = text.lines().map(str::trim);
    let mut block = || {
        lines.find(|line| line.starts_with("-----BEGIN"))?;
        lines
            .next()
            .filter(|line| !line.is_empty() && !line.starts_with('-'))
    };
    let jwt = block().ok_or_else(|| CREDENTIALS.error(path, "there is no JWT in it"))?;
    let pair = block().and_then(user);
    let pair = pair.ok_or_else(|| CREDENTIALS.error(path, NO_SEED))?;
    Ok((jwt.to_owned(), pair))
}

pub(crate) fn certificates(named: &Named, path: &Path) -> Result<(), FileError> {
    let text = named.read(path)?;
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        certificate.map_err(|error| named.error(path, &format!("it is no PEM: {error}")))?;
        found += 1;
    }
    match found {
        0 => Err(named.error(path, "there is no certificate in it")),
        _ => Ok(()),
    }
}

pub(crate) fn private_key(path: &Path) -> Result<(), FileError> {
    let text = KEY.read(path)?;
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes());
    key.map(drop)
        .map_err(|_| KEY.error(path, "there is no private key in it"))
}

impl Named {
    fn read(&self, path: &Path) -> Result<String, FileError> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => self.error(path, "there is no such file"),
            ErrorKind::PermissionDenied => self.error(path, "this process may not read it"),
            ErrorKind::InvalidData => self.error(path, "it is no text"),
            _ => self.error(path, &format!("it cannot be read: {error}")),
        })?;
        match text.trim() {
            "" => Err(self.error(path, "it is empty")),
            _ => Ok(text),
        }
    }

    fn error(&self, path: &Path, why: &str) -> FileError {
        FileError {
            flag: self.flag,
            variable: self.variable,
            path: path.to_owned(),
            why: why.to_owned(),
            takes: self.takes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConnectionArgs;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_seed_is_read_with_whatever_stands_around_it() {
        let pair = KeyPair::new_user();
        let seed = file(&format!("\n  {}\n\n", pair.seed().unwrap()));
        let args = ConnectionArgs {
            nats_nkey_file: Some(seed.path().to_owned()),
            ..ConnectionArgs::to("nats://127.0.0.1")
        };
        assert_eq!(args.check(), Ok(()));
        assert_eq!(args.public_key().unwrap(), Some(pair.public_key()));
    }

    #[test]
    fn a_file_of_no_use_is_named_and_never_quoted() {
        let account = KeyPair::new_account().seed().unwrap();
        for (text, why) in [
            ("", "it is empty"),
            (" \n", "it is empty"),
            ("SUSECRET", NO_SEED),
            (&account, NO_SEED),
        ] {
            let wrong = file(text);
            let args = ConnectionArgs {
                nats_nkey_file: Some(wrong.path().to_owned()),
                ..ConnectionArgs::to("nats://127.0.0.1")
            };
            let said = args.check().unwrap_err().to_string();
            let path = wrong.path().display().to_string();
            for part in [
                "--nats-nkey-file",
                "JETSAGA_NATS_NKEY_FILE",
                &path,
                why,
                "begins with SU",
            ] {
                assert!(said.contains(part), "{said}");
            }
            assert!(text.trim().is_empty() || !said.contains(text), "{said}");
        }
        let gone = ConnectionArgs {
            nats_ca_file: Some("/nowhere/ca.pem".into()),
            ..ConnectionArgs::to("nats://127.0.0.1")
        };
        let said = gone.check().unwrap_err().to_string();
        assert_eq!(
            said,
            "--nats-ca-file (JETSAGA_NATS_CA_FILE) names /nowhere/ca.pem, but there is no such file; it takes a PEM file \
             with one certificate or more"
        );
    }

    #[test]
    fn a_creds_file_has_a_jwt_and_a_seed() {
        let pair = KeyPair::new_user();
        let seed = pair.seed().unwrap();
        let whole = file(&format!(
            "-----BEGIN NATS USER JWT-----\neyJ0.e30.c2ln\n------END NATS USER JWT------\n\nkeep it secret\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        ));
        let (jwt, found) = credentials(whole.path()).unwrap();
        assert_eq!(
            (jwt.as_str(), found.public_key()),
            ("eyJ0.e30.c2ln", pair.public_key())
        );
        let half = file("-----BEGIN NATS USER JWT-----\neyJ0.e30.c2ln\n------END NATS USER JWT------\n");
        let said = credentials(half.path()).err().unwrap().to_string();
        assert!(
            said.contains(NO_SEED) && said.contains("--nats-credentials-file"),
            "{said}"
        );
    }
}
