use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use jetsaga::{Token, anyhow};
use tokio::time::sleep;

use crate::{
    app::Gateway,
    problem::{Code, Problem},
    token::{Key, Role, holder, read_keys},
};

/// Who may ask: the keys of a file, or everybody. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Keys {
    /// `None`: everybody is an operator.
    file: Option<Arc<File>>,
}

struct File {
    path: PathBuf,
    keys: RwLock<Read>,
}

#[derive(Default)]
struct Read {
    text: String,
    keys: Vec<Key>,
}

/// Whoever sent a request, with a token that is valid now.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The name in the file of keys.
    pub(crate) name: Token,
    role: Role,
    /// The digest of the token; `None` where nobody is asked for one.
    digest: Option<[u8; 32]>,
}

/// A caller who is an operator.
pub(crate) struct Operator(pub(crate) Caller);

/// How soon a changed file of keys counts.
const REREAD: Duration = Duration::from_secs(1);
/// The largest file of keys, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

impl Keys {
    /// The keys in this file.
    ///
    /// # Errors
    /// When it cannot be read; names the file and the line at fault.
    pub(crate) async fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File {
            path: path.to_owned(),
            keys: RwLock::default(),
        };
        file.reread().await?;
        ensure!(
            !file
                .keys
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .keys
                .is_empty(),
            "{} holds no key; make one with `jetsaga token new`",
            path.display()
        );
        Ok(Self {
            file: Some(Arc::new(file)),
        })
    }

    /// Everybody is an operator.
    pub(crate) fn nobody_is_asked() -> Self {
        tracing::warn!("AUTHENTICATION IS OFF: whoever reaches this port is an operator");
        Self { file: None }
    }

    /// Reads the file again whenever it was changed, for ever. A file that cannot be read changes nothing.
    pub(crate) async fn follow(self) {
        let Some(file) = &self.file else {
            return std::future::pending().await;
        };
        let mut failing = false;
        loop {
            sleep(REREAD).await;
            match file.reread().await {
                Ok(changed) => {
                    if changed {
                        tracing::info!(file = %file.path.display(), "the keys were read again");
                    }
                    failing = false;
                }
                Err(error) => {
                    if !failing {
                        tracing::error!("the keys stay as they were: {error:#}");
                    }
                    failing = true;
                }
            }
        }
    }

    fn caller(&self, parts: &Parts) -> Result<Caller, Problem> {
        let Some(file) = &self.file else {
            let name = Token::new("anybody").map_err(|error| Problem::internal(&error))?;
            let role = Role::Operator;
            let digest = None;
            return Ok(Caller { name, role, digest });
        };
        let nobody = |why: &str| Problem::new(Code::Unauthenticated, why);
        let mut given = parts.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(given), None) = (given.next(), given.next()) else {
            return Err(nobody("it takes one header Authorization: Bearer <token>"));
        };
        let token = given.to_str().ok().and_then(|text| text.split_once(' '));
        let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, token) = token.ok_or_else(|| nobody("it takes Authorization: Bearer <token>"))?;
        let read = file.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key =
            holder(&read.keys, token).ok_or_else(|| nobody("the token is not known, or not any more"))?;
        Ok(Caller {
            name: key.name.clone(),
            role: key.role,
            digest: Some(key.digest),
        })
    }

    /// True if whoever was let in would be let in now.
    pub(crate) fn still(&self, caller: &Caller) -> bool {
        let Some(file) = &self.file else { return true };
        let read = file.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut keys = read.keys.iter();
        keys.any(|key| Some(key.digest) == caller.digest && key.role == caller.role)
    }
}

impl File {
    /// True if it was changed.
    async fn reread(&self) -> anyhow::Result<bool> {
        let shown = self.path.display();
        let size = tokio::fs::metadata(&self.path).await;
        let size = size
            .with_context(|| format!("the file of keys {shown} cannot be read"))?
            .len();
        ensure!(
            size <= MAX_FILE,
            "{shown} has {size} bytes; a file of keys has at most {MAX_FILE}"
        );
        let text = tokio::fs::read_to_string(&self.path).await;
        let text = text.with_context(|| format!("the file of keys {shown} cannot be read"))?;
        if self.keys.read().unwrap_or_else(PoisonError::into_inner).text == text {
            return Ok(false);
        }
        let keys = read_keys(&text).map_err(|why| anyhow::anyhow!("{shown}, {why}"))?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Read { text, keys };
        Ok(true)
    }
}

impl FromRequestParts<Gateway> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Gateway) -> Result<Self, Problem> {
        app.keys.caller(parts)
    }
}

impl FromRequestParts<Gateway> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Gateway) -> Result<Self, Problem> {
        let caller = app.keys.caller(parts)?;
        if caller.role == Role::Operator {
            return Ok(Self(caller));
        }
        let why = format!("{} is {}; this takes an operator", caller.name, caller.role);
        Err(Problem::new(Code::Forbidden, why))
    }
}
