use std::fmt;

use serde::{Deserialize, Serialize};

/// A value about a person, which can be erased for good without breaking the chain of events.
///
/// In memory it is what it is. Where the engine writes it, it stands sealed under a key of its entity; once that key is
/// deleted, everybody reads [`Personal::Erased`], in events of any age and in the bucket. As JSON it is
/// `{"personal": …}` before it is sealed, `{"sealed": "…"}` in the journal, and `{"erased": true}` afterwards. `{:?}` does
/// not show it, so that it comes into no log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Personal<T> {
    /// It is known.
    Known {
        /// The value.
        personal: T,
    },
    /// Its key is deleted.
    Erased {
        /// Always true.
        erased: True,
    },
}

/// The word `true`, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "bool", into = "bool")]
pub struct True;

impl<T> Personal<T> {
    /// A known value.
    pub const fn new(personal: T) -> Self {
        Self::Known { personal }
    }

    /// What an erased value reads as.
    pub const ERASED: Self = Self::Erased { erased: True };

    /// The value; `None` if it is erased.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known { personal } => Some(personal),
            Self::Erased { .. } => None,
        }
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Known { .. } => "Personal(known)",
            Self::Erased { .. } => "Personal(erased)",
        })
    }
}

impl From<True> for bool {
    fn from(_: True) -> Self {
        true
    }
}

impl TryFrom<bool> for True {
    type Error = &'static str;
    fn try_from(value: bool) -> Result<Self, Self::Error> {
        value
            .then_some(Self)
            .ok_or("`erased` takes no other value than true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_shown_to_whoever_debugs() {
        let known = Personal::new("a@example.org".to_owned());
        assert_eq!(format!("{known:?}"), "Personal(known)");
        assert_eq!(format!("{:?}", Personal::<String>::ERASED), "Personal(erased)");
    }

    #[test]
    fn it_reads_what_it_writes() {
        let known = Personal::new("a@example.org".to_owned());
        let text = serde_json::to_string(&known).unwrap();
        assert_eq!(text, r#"{"personal":"a@example.org"}"#);
        assert_eq!(serde_json::from_str::<Personal<String>>(&text).unwrap(), known);
        let erased: Personal<String> = serde_json::from_str(r#"{"erased":true}"#).unwrap();
        assert_eq!(erased.known(), None);
        assert_eq!(erased, Personal::ERASED);
        assert!(serde_json::from_str::<Personal<String>>(r#"{"erased":false}"#).is_err());
        assert!(serde_json::from_str::<Personal<String>>(r#"{"sealed":"…"}"#).is_err());
    }
}
