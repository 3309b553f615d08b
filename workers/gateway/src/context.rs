use std::{convert::Infallible, sync::Arc};

use async_nats::{HeaderMap, HeaderValue};
use axum::{
    extract::FromRequestParts,
    http::{self, request::Parts},
};
use jetsaga::engine::{TraceContext, traced};
use uuid::Uuid;

/// What one request is known by. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Its id: the client's, or one of ours.
    pub(crate) request_id: Arc<str>,
    /// Its place in a trace.
    pub(crate) trace: Arc<TraceContext>,
}

tokio::task_local! {
    static ASKED: Context;
}

/// What is logged while `answering` names this request.
pub(crate) async fn asked<W: Future>(context: Context, answering: W) -> W::Output {
    ASKED.scope(context, answering).await
}

/// The id of the request that is being answered here.
pub(crate) fn asked_now() -> Option<String> {
    ASKED.try_with(|context| context.request_id.to_string()).ok()
}

/// The header of the request's id.
pub(crate) const REQUEST_ID: http::HeaderName = http::HeaderName::from_static("x-request-id");
/// The header of the trace context.
pub(crate) const TRACEPARENT: http::HeaderName = http::HeaderName::from_static(TraceContext::TRACEPARENT);

/// The id that a client gave its request, if it is 1 to 64 characters that can stand in a log; else a new one.
pub(crate) fn request_id(headers: &http::HeaderMap) -> Arc<str> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.');
    let given = headers.get(REQUEST_ID).map(http::HeaderValue::as_bytes);
    let given = given.filter(|id| (1..=64).contains(&id.len()) && id.iter().copied().all(fits));
    match given.and_then(|id| std::str::from_utf8(id).ok()) {
        Some(id) => id.into(),
        None => Uuid::new_v4().to_string().into(),
    }
}

impl Context {
    /// The headers of a message that is published because of this request.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in self.trace.headers() {
            if let Ok(value) = value.parse::<HeaderValue>() {
                headers.insert(name, value);
            }
        }
        headers
    }
}

impl<S: Sync> FromRequestParts<S> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self {
            request_id: request_id(&parts.headers),
            trace: traced("", "", None, None).context.into(),
        }))
    }
}
