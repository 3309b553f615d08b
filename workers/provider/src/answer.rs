use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::fact::{Entry, Fact};
use crate::key::Key;
use crate::order::{Charge, Refund};
use crate::refusal::Refusal;

/// A charge as clients see it.
#[derive(Debug, Serialize)]
pub(crate) struct ChargeView<'a> {
    id: String,
    key: &'a Key,
    amount: u64,
    currency: &'a str,
    reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'a str>,
    status: &'static str,
}

/// A refund as clients see it.
#[derive(Debug, Serialize)]
pub(crate) struct RefundView<'a> {
    id: String,
    key: &'a Key,
    charge_key: &'a Key,
    amount: u64,
    reference: &'a str,
    status: &'static str,
}

/// What is known of a key: the answer of a look-up and of settling.
#[derive(Debug, Serialize)]
pub(crate) struct KeyView<'a> {
    key: &'a Key,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<ChargeView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<RefundView<'a>>,
}

impl<'a> KeyView<'a> {
    /// A key whose request has not committed yet.
    pub(crate) fn in_flight(key: &'a Key) -> Self {
        Self {
            key,
            outcome: "in_flight",
            charge: None,
            refund: None,
        }
    }

    /// A key with its outcome.
    pub(crate) fn of(entry: &'a Entry) -> Self {
        let (outcome, charge, refund) = match &entry.fact {
            Fact::Charged(charge) => ("succeeded", Some(charge_view(entry.seq, charge)), None),
            Fact::Declined(_) => ("declined", None, None),
            Fact::Refunded(refund) => ("succeeded", None, Some(refund_view(entry.seq, refund))),
            Fact::Forbidden { .. } => ("forbidden", None, None),
        };
        Self {
            key: entry.fact.key(),
            outcome,
            charge,
            refund,
        }
    }
}

/// The answer to the request which made `entry`. A pure function of the entry:
/// this is what makes a replay equal to the first answer byte for byte.
pub(crate) fn answer(entry: &Entry) -> Response {
    match &entry.fact {
        Fact::Charged(charge) => Json(charge_view(entry.seq, charge)).into_response(),
        Fact::Refunded(refund) => Json(refund_view(entry.seq, refund)).into_response(),
        Fact::Declined(_) => {
            let error = serde_json::json!({ "code": "card_declined", "message": "the card was declined" });
            (
                StatusCode::PAYMENT_REQUIRED,
                Json(serde_json::json!({ "error": error })),
            )
                .into_response()
        }
        Fact::Forbidden { key } => Refusal::KeyForbidden(key.clone()).into_response(),
    }
}

fn charge_view(seq: u64, charge: &Charge) -> ChargeView<'_> {
    ChargeView {
        id: format!("ch_{seq:012}"),
        key: &charge.key,
        amount: charge.amount,
        currency: &charge.currency,
        reference: &charge.reference,
        customer: charge.customer.as_deref(),
        status: "succeeded",
    }
}

fn refund_view(seq: u64, refund: &Refund) -> RefundView<'_> {
    RefundView {
        id: format!("re_{seq:012}"),
        key: &refund.key,
        charge_key: &refund.charge_key,
        amount: refund.amount,
        reference: &refund.reference,
        status: "succeeded",
    }
}
