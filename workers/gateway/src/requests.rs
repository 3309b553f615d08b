//! Idempotency keys (draft-ietf-httpapi-idempotency-key-header): a request under a key is dealt with once, whichever
//! gateway it reaches.
//!
//! The stream `REQUESTS` holds two messages a key: what was asked, appended first and only once, and what was
//! answered. Between the two nothing is lost: ids are derived from the key, so that asking again does the same.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_nats::{HeaderMap, HeaderValue, header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE};
use axum::{extract::FromRequestParts, http::request::Parts};
use jetsaga::{
    AppendError, EventId, Nats, Token,
    engine::broker::{Link, Source},
    subject::{self, REQUESTS},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    problem::{Code, Problem},
    token::hex,
};

/// The idempotency key of a request, as its client chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestKey(String);

/// The requests under keys.
pub(crate) struct Requests {
    link: Link,
    in_flight: Arc<InFlight>,
}

/// What became of a key that was used before.
pub(crate) enum Begun {
    /// It was answered: this is what was said.
    Answered(Answer),
    /// It is ours to answer.
    Ours(Claim),
}

/// A request that is being dealt with; no other one under its key is, in this process, until this is dropped.
pub(crate) struct Claim {
    name: Token,
    fingerprint: String,
    guard: u64,
    in_flight: Arc<InFlight>,
}

/// A final answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Answer {
    /// It is in the journal.
    Accepted { id: Token, sequence: u64 },
    /// It breaks a rule.
    Invalid { detail: String },
    /// It contradicts what is there.
    Conflict { detail: String },
}

/// What the stream holds.
#[derive(Serialize, Deserialize)]
struct Record {
    fingerprint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Answer>,
}

#[derive(Default)]
struct InFlight(Mutex<HashSet<Token>>);

/// The longest key, in bytes.
const MAX_KEY: usize = 255;
/// How often a record is looked for that an append met.
const LOOKS: usize = 5;

impl Requests {
    pub(crate) fn new(nats: &Nats) -> Self {
        Self {
            link: nats.link(),
            in_flight: Arc::default(),
        }
    }

    /// Begins the request that `caller` sent under `key`.
    ///
    /// # Errors
    /// `request-in-flight`, `idempotency-key-reused` if it was another request, `unavailable`.
    pub(crate) async fn begin(
        &self,
        caller: &Token,
        key: &RequestKey,
        fingerprint: &str,
    ) -> Result<Begun, Problem> {
        let name = name(caller, key)?;
        // Whoever reads the stream and guesses a request cannot see whether the guess is right without the key.
        let fingerprint = &hex(&Sha256::digest(format!("{}\n{fingerprint}", key.0)));
        if !self.in_flight.lock().insert(name.clone()) {
            let why = "the first request under this Idempotency-Key is still being answered";
            return Err(Problem::new(Code::RequestInFlight, why));
        }
        let mut claim = Claim {
            name,
            fingerprint: fingerprint.to_owned(),
            guard: 0,
            in_flight: self.in_flight.clone(),
        };
        for _ in 0..LOOKS {
            match self.append(&claim, None).await {
                Ok(sequence) => {
                    claim.guard = sequence;
                    return Ok(Begun::Ours(claim));
                }
                Err(AppendError::Stale { .. }) => {}
                Err(AppendError::InFlight) => continue,
                Err(error) => return Err(Problem::unavailable(&error)),
            }
            let subject = subject::request(&claim.name);
            let found = self.link.broker.last(REQUESTS, &subject, Source::Leader).await;
            let Some(found) = found.map_err(|error| Problem::unavailable(&error))? else {
                continue; // it was as old as a record gets
            };
            let record: Record =
                serde_json::from_slice(&found.body).map_err(|error| Problem::internal(&error))?;
            if record.fingerprint != *fingerprint {
                let why =
                    "this Idempotency-Key came with another request before; a new request takes a new key";
                return Err(Problem::new(Code::IdempotencyKeyReused, why));
            }
            claim.guard = found.sequence;
            return Ok(match record.answer {
                Some(answer) => Begun::Answered(answer),
                None => Begun::Ours(claim),
            });
        }
        Err(Problem::unavailable(&"the record of a request comes and goes"))
    }

    /// Keeps the answer. If that fails, the same request is dealt with again, to the same end.
    pub(crate) async fn end(&self, claim: Claim, answer: &Answer) {
        match self.append(&claim, Some(answer)).await {
            Ok(_) | Err(AppendError::Stale { .. }) => {} // a replica was faster
            Err(error) => tracing::warn!(%error, "an answer was not kept"),
        }
    }

    async fn append(&self, claim: &Claim, answer: Option<&Answer>) -> Result<u64, AppendError> {
        let record = Record {
            fingerprint: claim.fingerprint.clone(),
            answer: answer.cloned(),
        };
        let body = serde_json::to_vec(&record).map_err(|error| AppendError::Unknown(error.to_string()))?;
        let mut headers = HeaderMap::new();
        headers.insert(
            NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            HeaderValue::from(claim.guard),
        );
        let subject = subject::request(&claim.name);
        self.link.broker.publish(subject, headers, body.into()).await
    }
}

impl Claim {
    /// An id for what this request makes: the same whenever it is asked again, and another one for another request.
    pub(crate) fn derived(&self, what: &str) -> EventId {
        EventId::derived(self.name.as_str(), &self.fingerprint, what)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.in_flight.lock().remove(&self.name);
    }
}

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, HashSet<Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tells one request from another under the same key: what it does, and to what.
pub(crate) fn fingerprint(route: &str, content: &str) -> String {
    hex(&Sha256::digest(format!("{route}\n{content}")))
}

/// The key and whose it is, as one token that tells neither.
fn name(caller: &Token, key: &RequestKey) -> Result<Token, Problem> {
    // Tokens hold no line breaks, so no two different pairs meet.
    let name = hex(&Sha256::digest(format!("{caller}\n{}", key.0)));
    Token::new(&name).map_err(|error| Problem::internal(&error))
}

impl RequestKey {
    /// Reads a header: a text of RFC 8941 such as `"8e03978e-40d5"`, or the same without quotes.
    fn parse(header: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(header).ok()?.trim_matches([' ', '\t']);
        let key = match text.strip_prefix('"') {
            Some(quoted) => unquote(quoted.strip_suffix('"')?)?,
            None if text.contains(['"', ' ', '\\', ',', ';']) => return None,
            None => text.to_owned(),
        };
        let fits = (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|b| matches!(b, b' '..=b'~'));
        fits.then_some(Self(key))
    }
}

/// The inside of a quoted text: `\"` and `\\` are the only escapes.
fn unquote(inside: &str) -> Option<String> {
    let (mut text, mut chars) = (String::new(), inside.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            '"' => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

/// The key of a request, if it has one.
pub(crate) struct MaybeKey(pub(crate) Option<RequestKey>);

impl<S: Sync> FromRequestParts<S> for MaybeKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut given = parts.headers.get_all("idempotency-key").iter();
        let Some(first) = given.next() else {
            return Ok(Self(None));
        };
        let key = RequestKey::parse(first.as_bytes()).filter(|_| given.next().is_none());
        let why =
            "it takes one Idempotency-Key of 1 to 255 visible ASCII characters, such as \"8e03978e-40d5\"";
        let key = key.ok_or_else(|| Problem::new(Code::InvalidIdempotencyKey, why))?;
        Ok(Self(Some(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_quoted_text_or_a_bare_word() {
        for (header, key) in [
            (r#""8e03978e-40d5""#, "8e03978e-40d5"),
            ("8e03978e-40d5", "8e03978e-40d5"),
            (r#" "a b" "#, "a b"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
        ] {
            assert_eq!(
                RequestKey::parse(header.as_bytes()),
                Some(RequestKey(key.to_owned())),
                "{header}"
            );
        }
        let long = "k".repeat(256);
        for bad in [
            "",
            "\"\"",
            "\"",
            "\"a",
            "a\"",
            r#""a"b""#,
            r#""a\n""#,
            "a b",
            "a,b",
            "\"a\",\"b\"",
            "clé",
            "a\tb",
            &long,
        ] {
            assert_eq!(RequestKey::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(RequestKey::parse(b"\xff"), None);
    }
}
