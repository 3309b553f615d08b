//! Keys of entities, and the sealing of what is personal. Deleting a key erases, whatever the journal keeps.

use async_nats::{HeaderMap, HeaderValue, header};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use bytes::Bytes;
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use serde_json::{Map, Value};

use crate::{
    AppendError, Nats, ReadError,
    broker::{Link, Source, Stored},
    subject::{EntitySubject, KV_KEYS},
};

/// The keys under which personal data is sealed: one for each entity, in the key-value bucket `KEYS`.
///
/// Whoever may read that bucket may read everybody's data; a backup of it outlives an erasure. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Vault {
    link: Link,
    random: SystemRandom,
}

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key was deleted.
    #[error("the personal data of {0} were erased; nothing personal can be added")]
    Erased(String),
    /// The bucket did not answer.
    #[error("the keys do not answer: {0}")]
    Read(#[from] ReadError),
    /// The bucket did not take a key.
    #[error("a key could not be written: {0}")]
    Write(#[from] AppendError),
    /// What is stored is not what was written.
    #[error("{what} cannot be opened: {why}")]
    Corrupt {
        /// Whose data it is.
        what: String,
        /// What is wrong.
        why: &'static str,
    },
}

/// The key of one entity.
pub(crate) struct Key {
    key: LessSafeKey,
    /// The first bytes of its digest: they tell what was sealed under another key from what is corrupt.
    name: [u8; NAME],
    entity: String,
    random: SystemRandom,
}

/// Times that a removal may fail.
const REMOVALS: u32 = 5;
/// Bytes of a key, and of its name.
const KEY: usize = 32;
const NAME: usize = 8;

impl Vault {
    /// The vault behind this connection.
    pub fn new(nats: &Nats) -> Self {
        Self {
            link: nats.link(),
            random: SystemRandom::new(),
        }
    }

    /// Deletes the key of an entity for good: nobody can open what was sealed under it, and no other key is ever made for
    /// that entity. Doing it twice changes nothing.
    ///
    /// # Errors
    /// When the server does not answer; doing it again goes on from there.
    pub async fn erase(&self, entity: &EntitySubject) -> Result<(), VaultError> {
        let mut failed = 0;
        loop {
            match self.last(entity).await? {
                Some(found) if found.body.is_empty() => return Ok(()),
                // The server writes over what it deletes, so that the key is gone from its files as well. Somebody else may
                // have deleted it first: then it is not found again.
                Some(found) => {
                    if let Err(error) = self.link.broker.remove(KV_KEYS, found.sequence).await {
                        failed += 1;
                        if failed == REMOVALS {
                            return Err(error.into());
                        }
                        continue;
                    }
                }
                None => {}
            }
            match self.write(entity, Bytes::new()).await {
                Err(AppendError::Stale { .. }) => {} // somebody made a key, or erased, at the same time
                answer => return answer.map_err(VaultError::Write),
            }
        }
    }

    /// The key of an entity; `None` if it has none, or has none any more.
    pub(crate) async fn key(&self, entity: &EntitySubject) -> Result<Option<Key>, VaultError> {
        match self.last(entity).await? {
            Some(found) if !found.body.is_empty() => self.read(entity, &found.body).map(Some),
            _ => Ok(None),
        }
    }

    /// The key of an entity, made if it never had one.
    pub(crate) async fn key_or_new(&self, entity: &EntitySubject) -> Result<Key, VaultError> {
        let mut fresh = [0; KEY];
        self.random.fill(&mut fresh).map_err(|_| VaultError::Corrupt {
            what: entity.to_string(),
            why: "there is no randomness for a key",
        })?;
        match self.write(entity, Bytes::copy_from_slice(&fresh)).await {
            Ok(()) => self.read(entity, &fresh),
            Err(AppendError::Stale { .. }) => {
                let key = self.key(entity).await?;
                key.ok_or_else(|| VaultError::Erased(entity.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self, entity: &EntitySubject, bytes: &[u8]) -> Result<Key, VaultError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).map_err(|_| VaultError::Corrupt {
            what: format!("the key of {entity}"),
            why: "it has not 32 bytes",
        })?;
        let mut name = [0; NAME];
        name.copy_from_slice(&digest(&SHA256, bytes).as_ref()[..NAME]);
        Ok(Key {
            key: LessSafeKey::new(key),
            name,
            entity: entity.to_string(),
            random: self.random.clone(),
        })
    }

    async fn last(&self, entity: &EntitySubject) -> Result<Option<Stored>, ReadError> {
        self.link
            .broker
            .last(KV_KEYS, &entity.key(), Source::Leader)
            .await
    }

    /// Writes the first value of a key.
    async fn write(&self, entity: &EntitySubject, body: Bytes) -> Result<(), AppendError> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            HeaderValue::from(0_u64),
        );
        self.link
            .broker
            .publish(entity.key(), headers, body)
            .await
            .map(drop)
    }
}

impl Key {
    /// Seals every `{"personal": …}` in `value`.
    pub(crate) fn seal(&self, value: &mut Value) -> Result<(), VaultError> {
        each(value, "personal", &mut |personal| {
            Ok(single("sealed", self.seal_one(personal)?.into()))
        })
    }

    fn seal_one(&self, value: &Value) -> Result<String, VaultError> {
        let failed = |why| self.corrupt(why);
        let mut nonce = [0; NONCE_LEN];
        self.random
            .fill(&mut nonce)
            .map_err(|_| failed("there is no randomness"))?;
        let mut sealed = value.to_string().into_bytes();
        let tag = self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(self.entity.as_bytes()),
            &mut sealed,
        );
        let tag = tag.map_err(|_| failed("it is too long to be sealed"))?;
        Ok(BASE64.encode([&self.name, &nonce[..], &sealed, tag.as_ref()].concat()))
    }

    fn open_one(&self, text: &str) -> Result<Option<Value>, VaultError> {
        let failed = |why| self.corrupt(why);
        let bytes = BASE64
            .decode(text)
            .map_err(|_| failed("what is sealed is no base64"))?;
        let parts = bytes.split_at_checked(NAME);
        let Some((name, rest)) = parts else {
            return Err(failed("what is sealed is cut short"));
        };
        if name != self.name {
            return Ok(None); // sealed under a key that was deleted
        }
        let Some((nonce, sealed)) = rest.split_at_checked(NONCE_LEN) else {
            return Err(failed("what is sealed is cut short"));
        };
        let nonce = Nonce::try_assume_unique_for_key(nonce);
        let nonce = nonce.map_err(|_| failed("what is sealed is cut short"))?;
        let mut sealed = sealed.to_vec();
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(self.entity.as_bytes()), &mut sealed);
        let opened = opened.map_err(|_| failed("what is sealed was changed, or moved from elsewhere"))?;
        let value = serde_json::from_slice(opened);
        Ok(Some(value.map_err(|_| failed("what was sealed is no JSON"))?))
    }

    fn corrupt(&self, why: &'static str) -> VaultError {
        VaultError::Corrupt {
            what: self.entity.clone(),
            why,
        }
    }
}

/// Opens every `{"sealed": …}` in `value`; what no key opens any more is `{"erased": true}`.
pub(crate) fn open(key: Option<&Key>, value: &mut Value) -> Result<(), VaultError> {
    each(value, "sealed", &mut |sealed| {
        let opened = match (key, sealed.as_str()) {
            (Some(key), Some(text)) => key.open_one(text)?,
            (Some(key), None) => return Err(key.corrupt("what is sealed is no text")),
            (None, _) => None,
        };
        Ok(match opened {
            Some(value) => single("personal", value),
            None => single("erased", true.into()),
        })
    })
}

fn single(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value)]))
}

/// Replaces every object whose one field is `name`.
fn each(
    value: &mut Value,
    name: &str,
    with: &mut impl FnMut(&Value) -> Result<Value, VaultError>,
) -> Result<(), VaultError> {
    let found = match value {
        Value::Object(fields) if fields.len() == 1 => fields.get(name),
        _ => None,
    };
    if let Some(found) = found {
        *value = with(found)?;
        return Ok(());
    }
    match value {
        Value::Object(fields) => fields.values_mut().try_for_each(|value| each(value, name, with)),
        Value::Array(list) => list.iter_mut().try_for_each(|value| each(value, name, with)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use saga::Token;
    use serde_json::json;

    use super::*;

    fn key(id: &str, byte: u8) -> Key {
        let entity = EntitySubject::new(&Token::new("customer").unwrap(), &Token::new(id).unwrap());
        let bytes = [byte; KEY];
        let mut name = [0; NAME];
        name.copy_from_slice(&digest(&SHA256, &bytes).as_ref()[..NAME]);
        Key {
            key: LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &bytes).unwrap()),
            name,
            entity: entity.to_string(),
            random: SystemRandom::new(),
        }
    }

    #[test]
    fn what_is_sealed_is_opened_by_its_key_alone() {
        let plain =
            json!({"id": "C-1", "email": {"personal": "a@example.org"}, "old": [{"personal": {"zip": "1"}}]});
        let (mine, other) = (key("C-1", 1), key("C-1", 2));
        let mut sealed = plain.clone();
        mine.seal(&mut sealed).unwrap();
        assert!(!sealed.to_string().contains("example"), "{sealed}");
        let opened = |key: Option<&Key>| {
            let mut value = sealed.clone();
            open(key, &mut value).map(|()| value)
        };
        assert_eq!(opened(Some(&mine)).unwrap(), plain);
        let erased = json!({"id": "C-1", "email": {"erased": true}, "old": [{"erased": true}]});
        assert_eq!(opened(None).unwrap(), erased);
        assert_eq!(opened(Some(&other)).unwrap(), erased);
        let moved = opened(Some(&key("C-2", 1))).unwrap_err().to_string();
        assert!(moved.contains("moved from elsewhere"), "{moved}");
    }

    #[test]
    fn what_was_changed_is_told() {
        let mine = key("C-1", 1);
        let mut sealed = json!({"personal": "secret"});
        mine.seal(&mut sealed).unwrap();
        let text = sealed["sealed"].as_str().unwrap().to_owned();
        for cut in 0..text.len() {
            let mut value = json!({"sealed": text[..cut]});
            assert!(
                open(Some(&mine), &mut value).is_err() || value == json!({"erased": true}),
                "{cut}"
            );
        }
        assert!(open(Some(&mine), &mut json!({"sealed": 7})).is_err());
    }
}
