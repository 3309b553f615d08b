use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
};

use crate::Direction;

/// An identifier that is exactly one NATS subject token: `[A-Za-z0-9_-]{1,64}`.
///
/// Whatever holds a `Token` may put it into a subject, a key or a header without looking at it again: it has
/// no dots, wildcards, spaces or control characters by construction. Deserialising checks the same rule.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Token(Box<str>);

/// Why a text is not a [`Token`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The text is empty.
    #[error("an identifier is empty; it takes 1 to 64 characters of A-Z a-z 0-9 _ -")]
    Empty,
    /// The text has more than 64 characters.
    #[error("an identifier has {0} bytes; it takes 1 to 64 characters of A-Z a-z 0-9 _ -")]
    TooLong(usize),
    /// The text holds a character that a subject token may not hold.
    #[error("identifier {text:?} holds {bad:?}; it takes 1 to 64 characters of A-Z a-z 0-9 _ -")]
    Forbidden {
        /// The whole text, at most 64 characters long.
        text: String,
        /// The first character at fault.
        bad: char,
    },
}

impl Token {
    /// The longest identifier, in bytes.
    pub const MAX: usize = 64;

    /// Checks `text` and keeps it.
    ///
    /// # Errors
    /// Says what is wrong with `text` and what would be right.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        if text.len() > Self::MAX {
            return Err(TokenError::TooLong(text.len()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        match text.chars().find(|&c| !allowed(c)) {
            Some(bad) => Err(TokenError::Forbidden {
                text: text.to_owned(),
                bad,
            }),
            None => Ok(Self(text.into())),
        }
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = TokenError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Token;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an identifier")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Token, E> {
                Token::new(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Borrow<str> for Token {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Token {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

/// The idempotency key under which a step's effect happens: `<saga>:<id>:<step>:<run|undo>`.
///
/// Equal for every attempt, replica and redelivery of one step in one direction, and different for any other
/// (tokens hold no colon, so no two of them meet). At most 203 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EffectKey(String);

impl EffectKey {
    /// The key of `step` of saga `id`, forward or back.
    pub fn new(saga: &Token, id: &Token, step: &Token, direction: Direction) -> Self {
        let word = match direction {
            Direction::Forward => "run",
            Direction::Undo => "undo",
        };
        Self(format!("{saga}:{id}:{step}:{word}"))
    }

    /// The key as text, fit for an HTTP header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_subject_token() {
        assert_eq!(Token::new("ORD-987654").unwrap().as_str(), "ORD-987654");
        assert_eq!(Token::new(""), Err(TokenError::Empty));
        assert_eq!(Token::new(&"x".repeat(65)), Err(TokenError::TooLong(65)));
        for bad in ["a.b", "*", ">", "a b", "a\r\n", "é", "a\0"] {
            assert!(
                matches!(Token::new(bad), Err(TokenError::Forbidden { .. })),
                "{bad:?} passed"
            );
        }
    }

    #[test]
    fn deserialising_applies_the_same_rule() {
        assert!(serde_json::from_str::<Token>(r#""ORD-1""#).is_ok());
        let error = serde_json::from_str::<Token>(r#""ORD.1""#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("'.'"), "{error}");
    }
}
