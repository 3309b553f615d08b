//! What every request passes, whatever it asks for: limits, ids, the last net under a panic, and the one place where
//! problems are written.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use futures_util::FutureExt as _;
use jetsaga::engine::{TraceContext, traced};
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::{
    app::Gateway,
    context::{Context, REQUEST_ID, TRACEPARENT, asked, request_id},
    counters::OneMore,
    problem::{Code, Problem},
};

/// The longest address, in bytes.
pub(crate) const MAX_URI: usize = 4 * 1024;
/// The most headers.
pub(crate) const MAX_HEADERS: usize = 64;
/// The most bytes of names and values of headers.
pub(crate) const MAX_HEADER_BYTES: usize = 16 * 1024;

/// The name of a path that nothing is at, in metrics and spans.
const UNMATCHED: &str = "unmatched";

/// Answers a request: within the limits, always with an id and a trace, and with a problem for whatever goes wrong.
pub(crate) async fn guard(State(app): State<Gateway>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or(UNMATCHED, |path| path.as_str()).to_owned();
    let headers = request.headers();
    let came = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let state = TraceContext::TRACESTATE;
    let traced = traced(method, &route, came(TraceContext::TRACEPARENT), came(state));
    let context = Context {
        request_id: request_id(request.headers()),
        trace: traced.context.into(),
    };
    request.extensions_mut().insert(context.clone());
    let in_flight = OneMore::of(&app.counters.in_flight);
    let passing = asked(context.clone(), pass(&app, &route, request, next));
    let answering = AssertUnwindSafe(passing).catch_unwind();
    let answer = answering.instrument(traced.span.clone()).await;
    drop(in_flight);
    let answer = match answer {
        Ok(Ok(answer)) => finish(answer, &context),
        Ok(Err(problem)) => finish(axum::response::IntoResponse::into_response(problem), &context),
        Err(_) => Problem::internal(&"a handler panicked").answer(&context),
    };
    let (status, took) = (answer.status(), began.elapsed());
    traced
        .span
        .record("http.response.status_code", i64::from(status.as_u16()));
    let id = &*context.request_id;
    tracing::debug!(
        method,
        route,
        status = status.as_u16(),
        request_id = id,
        ?took,
        "answered"
    );
    if status.is_server_error() {
        traced.span.record("otel.status_code", "error");
        tracing::warn!(
            method,
            route,
            status = status.as_u16(),
            request_id = id,
            "not answered"
        );
    }
    app.counters.answered(method, &route, status.as_u16(), took);
    signed(answer, &context)
}

async fn pass(app: &Gateway, route: &str, request: Request, next: Next) -> Result<Response, Problem> {
    check_size(&request)?;
    if route != UNMATCHED {
        check_accept(request.headers(), form_of(route))?;
    }
    let busy = |_| {
        let why = format!("{} requests are being answered already", app.config.requests);
        Problem::new(Code::Overloaded, why)
    };
    let _permit = app.requests_at_once.try_acquire().map_err(busy)?;
    let limit = app.config.request_limit;
    let late = |_| Problem::new(Code::Timeout, format!("there was no answer within {limit:?}"));
    timeout(limit, next.run(request)).await.map_err(late)
}

fn check_size(request: &Request) -> Result<(), Problem> {
    let uri = request.uri();
    let length = uri.path_and_query().map_or(0, |text| text.as_str().len());
    if length > MAX_URI {
        let why = format!("the address has {length} bytes; it takes at most {MAX_URI}");
        return Err(Problem::new(Code::UriTooLong, why));
    }
    let headers = request.headers();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        let why = format!(
            "there are {} headers of {bytes} bytes; it takes at most {MAX_HEADERS} of {MAX_HEADER_BYTES} bytes",
            headers.len()
        );
        return Err(Problem::new(Code::HeadersTooLarge, why));
    }
    Ok(())
}

/// The media type that a route answers in.
fn form_of(route: &str) -> (&'static str, &'static str) {
    match route {
        "/docs" => ("text", "html"),
        _ if route.ends_with("/stream") => ("text", "event-stream"),
        _ => ("application", "json"),
    }
}

/// Refuses a request that accepts no answer of this form. No `Accept` accepts all.
fn check_accept(headers: &HeaderMap, (kind, form): (&str, &str)) -> Result<(), Problem> {
    let mut given = headers.get_all(header::ACCEPT).iter().peekable();
    if given.peek().is_none() {
        return Ok(());
    }
    let mut ranges = given
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let fits = ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let (left, right) = parts
            .next()
            .and_then(|range| range.split_once('/'))
            .unwrap_or_default();
        let refused = parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)));
        let all = left == "*" && right == "*";
        let named = left.eq_ignore_ascii_case(kind) && (right == "*" || right.eq_ignore_ascii_case(form));
        !refused && (all || named)
    });
    if fits {
        return Ok(());
    }
    Err(Problem::new(
        Code::NotAcceptable,
        format!("the answer is {kind}/{form}, which Accept does not name"),
    ))
}

/// The answer as it is sent: a problem is written here, and so is what the framework refused by itself.
fn finish(answer: Response, context: &Context) -> Response {
    let problem = answer.extensions().get::<Problem>().cloned();
    let status = answer.status();
    let problem = match problem {
        Some(problem) => problem,
        None if status.is_client_error() || status.is_server_error() => bare(status),
        None => return answer,
    };
    let mut told = problem.answer(context);
    if let Some(allowed) = answer.headers().get(header::ALLOW) {
        told.headers_mut().insert(header::ALLOW, allowed.clone());
    }
    told
}

/// The problem behind a status that came without one.
fn bare(status: StatusCode) -> Problem {
    let code = match status {
        StatusCode::NOT_FOUND => Code::UnknownPath,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge,
        status if status.is_client_error() => Code::MalformedRequest,
        _ => Code::Internal,
    };
    Problem::new(code, code.title())
}

/// With what every answer carries.
fn signed(mut answer: Response, context: &Context) -> Response {
    let headers = answer.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    if let Ok(traceparent) = HeaderValue::from_str(&context.trace.traceparent) {
        headers.insert(TRACEPARENT, traceparent);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// The method's name, if it is a known one: what a client sends is no label.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_given_only_in_a_form_that_is_accepted() {
        let accepts = |accept: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(header::ACCEPT, HeaderValue::from_str(value).unwrap());
            }
            check_accept(&headers, ("application", "json")).is_ok()
        };
        for good in [
            &[][..],
            &["*/*"],
            &["text/html, application/*;q=0.1"],
            &["text/html", "Application/JSON"],
        ] {
            assert!(accepts(good), "{good:?}");
        }
        for bad in [
            &[""][..],
            &["text/html"],
            &["application/json;q=0"],
            &["application/xml, text/*"],
            &["json"],
        ] {
            assert!(!accepts(bad), "{bad:?}");
        }
    }
}
