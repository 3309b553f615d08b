use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::key::Key;
use crate::order::MAX_AMOUNT;

/// Why a request got no outcome. Nothing is recorded for any of these; the HTTP
/// answer is `{"error":{"code","message"}}` with a code which never changes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the header Idempotency-Key is required")]
    MissingKey,
    #[error("an idempotency key is 1 to 255 visible ASCII characters, given once")]
    InvalidKey,
    #[error("the body is not JSON: {0}")]
    InvalidJson(String),
    #[error("{0}")]
    InvalidRequest(String),
    #[error("amount is {0}: expected an integer of minor units from 1 to {MAX_AMOUNT}")]
    InvalidAmount(i64),
    #[error("{0}")]
    InvalidSimulation(String),
    #[error("the body is longer than 65536 bytes")]
    BodyTooLarge,
    #[error("the body could not be read: {0}")]
    UnreadableBody(String),
    #[error("key {0} was used before with another request")]
    KeyReuse(Key),
    #[error("key {0} has a request in flight")]
    KeyInFlight(Key),
    #[error("key {0} was settled before it had an outcome: it never will have one")]
    KeyForbidden(Key),
    #[error("nothing is known of key {0}")]
    NoSuchKey(Key),
    #[error("nothing was charged under key {0}")]
    NoSuchCharge(Key),
    #[error("refunding {asked} of charge {charge_key} exceeds the {left} minor units which are left of it")]
    RefundExceedsCharge { charge_key: Key, asked: u64, left: u64 },
    #[error("there is nothing at this address")]
    NotFound,
    #[error("this address does not take this method")]
    MethodNotAllowed,
    #[error("failed on purpose, before doing anything")]
    Simulated,
    #[error("the ledger could not be written")]
    LedgerUnavailable,
    #[error("the provider is shutting down")]
    ShuttingDown,
    #[error("the request ended without an answer")]
    Internal,
}

impl Refusal {
    /// The HTTP status and the stable code.
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::MissingKey => (StatusCode::BAD_REQUEST, "missing_idempotency_key"),
            Self::InvalidKey => (StatusCode::BAD_REQUEST, "invalid_idempotency_key"),
            Self::InvalidJson(_) => (StatusCode::BAD_REQUEST, "invalid_json"),
            Self::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::InvalidAmount(_) => (StatusCode::BAD_REQUEST, "invalid_amount"),
            Self::InvalidSimulation(_) => (StatusCode::BAD_REQUEST, "invalid_simulation"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::UnreadableBody(_) => (StatusCode::BAD_REQUEST, "unreadable_body"),
            Self::KeyReuse(_) => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reuse"),
            Self::KeyInFlight(_) => (StatusCode::CONFLICT, "key_in_flight"),
            Self::KeyForbidden(_) => (StatusCode::CONFLICT, "key_forbidden"),
            Self::NoSuchKey(_) => (StatusCode::NOT_FOUND, "no_such_key"),
            Self::NoSuchCharge(_) => (StatusCode::NOT_FOUND, "no_such_charge"),
            Self::RefundExceedsCharge { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "refund_exceeds_charge"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Simulated => (StatusCode::INTERNAL_SERVER_ERROR, "simulated_error"),
            Self::LedgerUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable"),
            Self::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.kind();
        let body = json!({ "error": { "code": code, "message": self.to_string() } });
        (status, Json(body)).into_response()
    }
}
