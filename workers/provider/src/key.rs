use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::refusal::Refusal;

/// The longest key, in bytes (which are characters: a key is ASCII).
const MAX_LEN: usize = 255;

/// An idempotency key: 1 to 255 visible ASCII characters (`!` to `~`). A value of
/// this type is always valid; clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Key(Arc<str>);

impl Key {
    /// The key as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of a request, from its one `Idempotency-Key` header.
    ///
    /// # Errors
    /// `missing_idempotency_key` without the header, `invalid_idempotency_key` if
    /// there are several or the value is no key.
    pub(crate) fn of_request(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut values = headers.get_all("idempotency-key").iter();
        let first = values.next().ok_or(Refusal::MissingKey)?;
        if values.next().is_some() {
            return Err(Refusal::InvalidKey);
        }
        let text = std::str::from_utf8(first.as_bytes()).map_err(|_| Refusal::InvalidKey)?;
        Self::parse(text)
    }

    /// Reads a key.
    ///
    /// # Errors
    /// `invalid_idempotency_key` if `text` is empty, too long or has another
    /// character than a visible ASCII one.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let right_length = (1..=MAX_LEN).contains(&text.len());
        if right_length && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(Refusal::InvalidKey)
        }
    }
}

impl TryFrom<String> for Key {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        Self::parse(&text)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_1_to_255_visible_ascii_characters() {
        for good in ["a", "!~", "order/1:charge", &"k".repeat(255)] {
            assert_eq!(Key::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", "a b", "a\tb", "clé", &"k".repeat(256)] {
            assert!(matches!(Key::parse(bad), Err(Refusal::InvalidKey)), "{bad:?}");
        }
    }
}
