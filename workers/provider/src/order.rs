use std::fmt::Write;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::key::Key;
use crate::refusal::Refusal;

/// The largest amount of one charge or refund: ten million major units, in minor
/// units.
pub(crate) const MAX_AMOUNT: u64 = 1_000_000_000;

/// The longest free text in a request, in bytes.
const MAX_TEXT: usize = 255;

/// What a request under an idempotency key asks for, checked.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    /// Take money.
    Charge(Charge),
    /// Give some of a charge back.
    Refund(Refund),
}

/// A charge: `amount` minor units of `currency` from `source`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) key: Key,
    pub(crate) amount: u64,
    pub(crate) currency: String,
    pub(crate) reference: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) customer: Option<String>,
    pub(crate) source: String,
    pub(crate) fingerprint: String,
}

/// A refund of `amount` minor units of the charge under `charge_key`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) key: Key,
    pub(crate) charge_key: Key,
    pub(crate) amount: u64,
    pub(crate) reference: String,
    pub(crate) fingerprint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargeBody {
    amount: i64,
    currency: String,
    reference: String,
    customer: Option<String>,
    #[serde(default = "any_card")]
    source: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundBody {
    charge_key: String,
    amount: i64,
    reference: String,
}

impl Order {
    /// The idempotency key.
    pub(crate) fn key(&self) -> &Key {
        match self {
            Self::Charge(charge) => &charge.key,
            Self::Refund(refund) => &refund.key,
        }
    }

    /// What tells this request from another one under the same key: a digest of
    /// the operation and of the body's values. White space, the order of the
    /// fields and a default spelt out make no difference.
    pub(crate) fn fingerprint(&self) -> &str {
        match self {
            Self::Charge(charge) => &charge.fingerprint,
            Self::Refund(refund) => &refund.fingerprint,
        }
    }

    /// The caller's own name for the business case.
    pub(crate) fn reference(&self) -> &str {
        match self {
            Self::Charge(charge) => &charge.reference,
            Self::Refund(refund) => &refund.reference,
        }
    }

    /// The card token, which only a charge has.
    pub(crate) fn source(&self) -> Option<&str> {
        match self {
            Self::Charge(charge) => Some(&charge.source),
            Self::Refund(_) => None,
        }
    }

    /// Reads the body of `POST /v1/charges`.
    ///
    /// # Errors
    /// `invalid_json`, `invalid_request` or `invalid_amount`.
    pub(crate) fn charge(key: Key, body: &[u8]) -> Result<Self, Refusal> {
        let body: ChargeBody = parse(body)?;
        if body.currency.len() != 3 || !body.currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err(invalid(
                "currency",
                &body.currency,
                "three lower-case letters, such as usd",
            ));
        }
        text("source", &body.source)?;
        if let Some(customer) = &body.customer {
            text("customer", customer)?;
        }
        text("reference", &body.reference)?;
        Ok(Self::Charge(Charge {
            key,
            amount: amount(body.amount)?,
            fingerprint: fingerprint("charge", &body)?,
            currency: body.currency,
            reference: body.reference,
            customer: body.customer,
            source: body.source,
        }))
    }

    /// Reads the body of `POST /v1/refunds`.
    ///
    /// # Errors
    /// `invalid_json`, `invalid_request` or `invalid_amount`.
    pub(crate) fn refund(key: Key, body: &[u8]) -> Result<Self, Refusal> {
        let body: RefundBody = parse(body)?;
        text("reference", &body.reference)?;
        let charge_key = Key::parse(&body.charge_key)
            .map_err(|_| invalid("charge_key", &body.charge_key, "the idempotency key of a charge"))?;
        Ok(Self::Refund(Refund {
            key,
            charge_key,
            amount: amount(body.amount)?,
            fingerprint: fingerprint("refund", &body)?,
            reference: body.reference,
        }))
    }
}

/// Reads a JSON body, telling what is no JSON from what has the wrong shape.
///
/// # Errors
/// `invalid_json` or `invalid_request`.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Refusal::InvalidRequest(error.to_string()),
        _ => Refusal::InvalidJson(error.to_string()),
    })
}

fn any_card() -> String {
    "tok_ok".to_owned()
}

fn amount(given: i64) -> Result<u64, Refusal> {
    match u64::try_from(given) {
        Ok(amount) if (1..=MAX_AMOUNT).contains(&amount) => Ok(amount),
        _ => Err(Refusal::InvalidAmount(given)),
    }
}

fn text(field: &str, value: &str) -> Result<(), Refusal> {
    if (1..=MAX_TEXT).contains(&value.len()) && !value.chars().any(char::is_control) {
        return Ok(());
    }
    Err(invalid(field, value, "1 to 255 bytes without control characters"))
}

fn invalid(field: &str, value: &str, expected: &str) -> Refusal {
    let shown: String = value.chars().take(80).collect();
    Refusal::InvalidRequest(format!("{field} is {shown:?}: expected {expected}"))
}

/// 32 hexadecimal digits (the first half of a SHA-256).
fn fingerprint(operation: &str, body: &impl Serialize) -> Result<String, Refusal> {
    let canonical = serde_json::to_vec(&(operation, body)).map_err(|_| Refusal::Internal)?;
    let mut hex = String::with_capacity(32);
    for byte in &Sha256::digest(canonical)[..16] {
        write!(hex, "{byte:02x}").map_err(|_| Refusal::Internal)?;
    }
    Ok(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint_of(body: &str) -> String {
        Order::charge(Key::parse("k").unwrap(), body.as_bytes())
            .unwrap()
            .fingerprint()
            .to_owned()
    }

    #[test]
    fn spelling_does_not_change_the_fingerprint_and_values_do() {
        let plain = fingerprint_of(r#"{"amount":5,"currency":"usd","reference":"r"}"#);
        let other = r#"{ "reference": "r", "source": "tok_ok", "currency": "usd", "amount": 5 }"#;
        assert_eq!(plain, fingerprint_of(other));
        assert_eq!(plain.len(), 32);
        assert_ne!(
            plain,
            fingerprint_of(r#"{"amount":6,"currency":"usd","reference":"r"}"#)
        );
    }
}
