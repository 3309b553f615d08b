use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::context::{Context, asked_now};

/// Why a request got no answer of its own kind, as it is told by RFC 9457.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: String,
    retry_after: Option<u32>,
}

/// A problem as it is written: `application/problem+json`.
#[derive(Serialize, ToSchema)]
#[schema(title = "Problem", example = json!({
    "type": "/docs#not-found", "title": "There is no such thing", "status": 404,
    "detail": "there is no order ORD-1", "instance": "urn:jetsaga:request:4f6c", "code": "not-found",
}))]
pub(crate) struct ProblemBody {
    /// Where the kind of problem is described.
    r#type: String,
    /// The kind of problem, in a few words that never change.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What was wrong with this request, and what would be right.
    detail: String,
    /// This request: its `X-Request-Id` is the last part.
    instance: String,
    /// The kind of problem as one word that never changes.
    #[schema(value_type = Code)]
    code: &'static str,
}

macro_rules! codes {
    ($($name:ident $status:ident $word:literal $title:literal)+) => {
        /// Every kind of problem. Words are never renamed and never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
        pub(crate) enum Code {
            $(#[doc = $title] #[schema(rename = $word)] $name,)+
        }

        impl Code {
            /// All of them, in the order of their status.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            /// The HTTP status.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// The stable word.
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The same in a few words.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}
codes! {
    MalformedRequest BAD_REQUEST "malformed-request" "This is no HTTP request that is understood"
    MalformedJson BAD_REQUEST "malformed-json" "The body is no JSON"
    TooDeep BAD_REQUEST "too-deep" "The body is nested too deeply"
    InvalidIdentifier BAD_REQUEST "invalid-identifier" "An identifier in the path is none"
    InvalidQuery BAD_REQUEST "invalid-query" "A query parameter is wrong"
    InvalidHeader BAD_REQUEST "invalid-header" "A header is wrong"
    InvalidIdempotencyKey BAD_REQUEST "invalid-idempotency-key" "The Idempotency-Key is none"
    Unauthenticated UNAUTHORIZED "unauthenticated" "A valid token is required"
    Forbidden FORBIDDEN "forbidden" "The token's role may not do this"
    UnknownPath NOT_FOUND "unknown-path" "There is nothing at this path"
    NotFound NOT_FOUND "not-found" "There is no such thing"
    MethodNotAllowed METHOD_NOT_ALLOWED "method-not-allowed" "This path does not take this method"
    NotAcceptable NOT_ACCEPTABLE "not-acceptable" "The answer has no form that is accepted"
    BodyTimeout REQUEST_TIMEOUT "body-timeout" "The body took too long to arrive"
    Conflict CONFLICT "conflict" "This contradicts what is there already"
    TooLate CONFLICT "too-late" "This can only go forward now"
    RequestInFlight CONFLICT "request-in-flight" "A request under this key is being answered"
    Stale PRECONDITION_FAILED "stale" "It was changed since it was read"
    BodyTooLarge PAYLOAD_TOO_LARGE "body-too-large" "The body is too large"
    UriTooLong URI_TOO_LONG "uri-too-long" "The address is too long"
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" "The body is of a type that is not taken"
    Invalid UNPROCESSABLE_ENTITY "invalid" "The content breaks a rule"
    IdempotencyKeyReused UNPROCESSABLE_ENTITY "idempotency-key-reused" "The Idempotency-Key belongs to another request"
    PreconditionRequired PRECONDITION_REQUIRED "precondition-required" "The change has to name what it changes"
    HeadersTooLarge REQUEST_HEADER_FIELDS_TOO_LARGE "headers-too-large" "There are too many headers, or too large ones"
    Internal INTERNAL_SERVER_ERROR "internal" "Something failed that should not"
    NoReadModel NOT_IMPLEMENTED "no-read-model" "This gateway shows no lists"
    Overloaded SERVICE_UNAVAILABLE "overloaded" "There is too much to do"
    TooManyStreams SERVICE_UNAVAILABLE "too-many-streams" "There are too many live streams"
    Unavailable SERVICE_UNAVAILABLE "unavailable" "What the answer needs does not answer"
    NotCaughtUp SERVICE_UNAVAILABLE "not-caught-up" "The read model is behind what was asked for"
    Timeout GATEWAY_TIMEOUT "timeout" "The answer took too long"
}

impl Problem {
    /// The content type of a problem.
    pub(crate) const TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

    /// A problem of this kind, with a sentence about this request.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        let later = code.status() == StatusCode::SERVICE_UNAVAILABLE || code == Code::RequestInFlight;
        Self {
            code,
            detail: detail.into(),
            retry_after: later.then_some(1),
        }
    }

    /// What it needs does not answer. What exactly is for the log.
    pub(crate) fn unavailable(why: &dyn std::fmt::Display) -> Self {
        tracing::warn!(%why, request_id = asked_now(), "a request cannot be answered");
        Self::new(
            Code::Unavailable,
            "the journal does not answer; the same request may succeed later",
        )
    }

    /// Something that should not happen. What exactly is for the log.
    pub(crate) fn internal(why: &dyn std::fmt::Display) -> Self {
        tracing::error!(%why, request_id = asked_now(), "a request failed");
        Self::new(Code::Internal, "it is in the log under the request id")
    }

    /// The kind.
    #[cfg(test)]
    pub(crate) const fn code(&self) -> Code {
        self.code
    }

    /// What is written about it.
    pub(crate) fn body(&self, request_id: &str) -> ProblemBody {
        ProblemBody {
            r#type: format!("/docs#{}", self.code.word()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: self.detail.chars().take(600).collect(),
            instance: format!("urn:jetsaga:request:{request_id}"),
            code: self.code.word(),
        }
    }

    /// The answer to a request, with its id.
    pub(crate) fn answer(&self, context: &Context) -> Response {
        let body = serde_json::to_vec(&self.body(&context.request_id)).unwrap_or_default();
        let mut answer = (self.code.status(), body).into_response();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, Self::TYPE);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthenticated {
            let scheme = HeaderValue::from_static("Bearer realm=\"jetsaga\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        answer
    }
}

/// The status alone; whoever knows the request's id writes the rest.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut answer = self.code.status().into_response();
        answer.extensions_mut().insert(self);
        answer
    }
}
