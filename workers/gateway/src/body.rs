use axum::{
    body,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use jetsaga::saga::why_not;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    app::Gateway,
    problem::{Code, Problem},
};

/// The largest body, in bytes.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// How deep a body may be nested.
pub(crate) const MAX_DEPTH: usize = 16;

/// A body that is one JSON object, as it was written.
pub(crate) struct JsonText(pub(crate) String);

/// The same, or nothing at all.
pub(crate) struct MaybeJson(pub(crate) Option<JsonText>);

impl JsonText {
    /// Reads it as a `T`.
    ///
    /// # Errors
    /// `invalid`, naming the field at fault.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_str(&self.0)
            .map_err(|_| Problem::new(Code::Invalid, why_not::<T>("body", self.0.as_bytes())))
    }
}

impl FromRequest<Gateway> for JsonText {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Gateway) -> Result<Self, Problem> {
        check_type(request.headers())?;
        let bytes = whole(request, app).await?;
        read(&bytes)
    }
}

impl FromRequest<Gateway> for MaybeJson {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Gateway) -> Result<Self, Problem> {
        let typed = check_type(request.headers());
        let bytes = whole(request, app).await?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        typed?;
        read(&bytes).map(|text| Self(Some(text)))
    }
}

/// Refuses what does not say that it is JSON in UTF-8, not compressed.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |why: &str| Err(Problem::new(Code::UnsupportedMediaType, why));
    if headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| coding != "identity")
    {
        return refused("the body is encoded; it takes none of Content-Encoding");
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(given), None) = (types.next(), types.next()) else {
        return refused("it takes one header Content-Type: application/json");
    };
    let Ok(given) = given.to_str() else {
        return refused("it takes Content-Type: application/json");
    };
    let mut parts = given.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let utf8 = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        name.trim().eq_ignore_ascii_case("charset")
            && value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    };
    if !essence.eq_ignore_ascii_case("application/json") || !parts.all(utf8) {
        return refused("it takes Content-Type: application/json, in UTF-8");
    }
    Ok(())
}

async fn whole(request: Request, app: &Gateway) -> Result<body::Bytes, Problem> {
    let reading = timeout(
        app.config.body_limit,
        body::to_bytes(request.into_body(), MAX_BODY),
    )
    .await;
    let late = |_| {
        Problem::new(
            Code::BodyTimeout,
            format!("it takes a body within {:?}", app.config.body_limit),
        )
    };
    reading.map_err(late)?.map_err(|error| {
        let error = error.into_inner();
        if is_too_large(&*error) {
            return Problem::new(
                Code::BodyTooLarge,
                format!("the body has more than {MAX_BODY} bytes"),
            );
        }
        Problem::new(
            Code::MalformedRequest,
            "the body ended early, or its framing is wrong",
        )
    })
}

fn is_too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Checks what every body has to be: UTF-8, not too deep, one JSON object.
fn read(bytes: &[u8]) -> Result<JsonText, Problem> {
    let malformed = |why: String| Problem::new(Code::MalformedJson, why);
    let text = std::str::from_utf8(bytes)
        .map_err(|error| malformed(format!("byte {} is no UTF-8", error.valid_up_to())))?;
    if depth(bytes) > MAX_DEPTH {
        let why = format!("the body is nested deeper than {MAX_DEPTH}");
        return Err(Problem::new(Code::TooDeep, why));
    }
    let value: Value =
        serde_json::from_str(text).map_err(|error| malformed(format!("the body is no JSON: {error}")))?;
    if !value.is_object() {
        return Err(Problem::new(
            Code::Invalid,
            "the body is no object; it takes a JSON object",
        ));
    }
    Ok(JsonText(text.to_owned()))
}

/// How deep objects and lists are nested, brackets in texts left out.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_texts_are_not_deep() {
        assert_eq!(depth(br#"{"a":"[[[\"{{{","b":[{}]}"#), 3);
        assert_eq!(depth(b""), 0);
        assert_eq!(depth(b"]]}}["), 1);
    }

    #[test]
    fn a_body_is_one_object_in_utf_8() {
        let code = |bytes: &[u8]| read(bytes).map(|text| text.0).map_err(|problem| problem.code());
        assert_eq!(code(b" {} "), Ok(" {} ".to_owned()));
        let deep = "[".repeat(MAX_DEPTH + 1);
        for (bytes, expected) in [
            (&b""[..], Code::MalformedJson),
            (b"{", Code::MalformedJson),
            (b"{}{}", Code::MalformedJson),
            (b"{\"a\":NaN}", Code::MalformedJson),
            (b"{\"a\":\"\\ud800\"}", Code::MalformedJson),
            (b"\xff{}", Code::MalformedJson),
            (b"\xef\xbb\xbf{}", Code::MalformedJson),
            (deep.as_bytes(), Code::TooDeep),
            (b"[]", Code::Invalid),
            (b"null", Code::Invalid),
        ] {
            assert_eq!(code(bytes), Err(expected), "{}", String::from_utf8_lossy(bytes));
        }
    }
}
