//! Bearer tokens: what a client holds, and what the file of keys holds of it.

use std::{fmt, str::FromStr};

use jetsaga::Token;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What a token's holder may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Place, follow and cancel orders, and keep customers: a shop front.
    CustomerFacing,
    /// The same, and what only staff may: dead letters, the whole journal, revenue, erasure.
    Operator,
}

/// A token that was just made. The text is shown once and kept nowhere.
pub struct NewToken {
    /// What the client sends: `Authorization: Bearer <token>`.
    pub token: String,
    /// What goes into the file of keys. It does not give the token away.
    pub line: String,
}

/// One line of the file of keys.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) name: Token,
    pub(crate) role: Role,
    pub(crate) digest: [u8; 32],
}

/// What every token begins with, so that one that leaked is recognised.
const PREFIX: &str = "jetsaga_";

/// Makes a token of 256 random bits, for a client called `name`. Two lines of one name are one client: that is how
/// a token is replaced.
///
/// # Errors
/// When the system has no random numbers.
pub fn new_token(name: &Token, role: Role) -> Result<NewToken, getrandom::Error> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    let token = format!("{PREFIX}{}", hex(&secret));
    let line = format!("{name} {role} {}", hex(&digest(&token)));
    Ok(NewToken { token, line })
}

/// Reads the file of keys: `<name> <role> <SHA-256 of the token in hex>` a line; empty lines and `#` are skipped.
///
/// # Errors
/// Names the line and what would be right.
pub(crate) fn read_keys(text: &str) -> Result<Vec<Key>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let keys = lines.map(|(n, line)| read_key(line).map_err(|why| format!("line {}: {why}", n + 1)));
    keys.collect()
}

/// Whose token this is. It is compared with every key, each in constant time.
pub(crate) fn holder<'a>(keys: &'a [Key], token: &str) -> Option<&'a Key> {
    let digest = digest(token);
    let mut holder = None;
    for key in keys {
        if bool::from(key.digest.ct_eq(&digest)) {
            holder = Some(key);
        }
    }
    holder
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn read_key(line: &str) -> Result<Key, String> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [name, role, digest] = words[..] else {
        return Err(format!(
            "it has {} words; it takes a name, a role and the SHA-256 of a token",
            words.len()
        ));
    };
    Ok(Key {
        name: Token::new(name).map_err(|error| error.to_string())?,
        role: role.parse()?,
        digest: unhex(digest).ok_or("the last word is no SHA-256; it takes 64 hexadecimal digits")?,
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(bytes)
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "customer-facing" => Ok(Self::CustomerFacing),
            "operator" => Ok(Self::Operator),
            other => Err(format!(
                "{other:?} is no role; it takes customer-facing or operator"
            )),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CustomerFacing => "customer-facing",
            Self::Operator => "operator",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_is_known_by_its_line_and_no_other_is() {
        let shop = Token::new("shop").unwrap();
        let made = new_token(&shop, Role::CustomerFacing).unwrap();
        let other = new_token(&shop, Role::Operator).unwrap();
        let keys = read_keys(&format!("# keys\n\n  {}\n", made.line)).unwrap();
        let key = holder(&keys, &made.token).unwrap();
        assert_eq!((key.name.as_str(), key.role), ("shop", Role::CustomerFacing));
        for wrong in [
            other.token.as_str(),
            "",
            &made.token[1..],
            &made.token.to_uppercase(),
        ] {
            assert!(holder(&keys, wrong).is_none(), "{wrong} passed");
        }
        assert!(!made.line.contains(&made.token[PREFIX.len()..]));
    }

    #[test]
    fn a_wrong_line_is_named_with_what_would_be_right() {
        let digest = "0".repeat(64);
        for (text, says) in [
            ("shop operator", "line 1: it has 2 words"),
            (&format!("\nshop king {digest}"), "line 2: \"king\" is no role"),
            (&format!("a.b operator {digest}"), "holds '.'"),
            ("shop operator 00", "64 hexadecimal digits"),
            (
                &format!("shop operator {}é", "0".repeat(62)),
                "64 hexadecimal digits",
            ),
        ] {
            let error = read_keys(text).map(|keys| keys.len()).unwrap_err();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }
}
