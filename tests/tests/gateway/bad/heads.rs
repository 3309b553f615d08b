use jetsaga_tests::harness::{order, order_with};

use super::{Case, USED};
use crate::{front::Keys, raw::request};

/// Headers and framing that are refused.
pub(super) fn cases(keys: &Keys) -> Vec<Case> {
    let bearer = format!("Bearer {}", keys.shop);
    let order = order("BAD")["payload"].to_string();
    let case = |name: &str, bytes: Vec<u8>, status, code| Case {
        name: name.to_owned(),
        bytes,
        status,
        code,
        header: None,
        ends: false,
    };
    let place = |headers: &[(&str, &[u8])], body: &[u8]| {
        let all: Vec<_> = [("authorization", bearer.as_bytes())]
            .iter()
            .chain(headers)
            .copied()
            .collect();
        request("POST", "/v1/orders", &all, body)
    };
    let json = ("content-type", &b"application/json"[..]);
    let mut cases = Vec::new();
    for kind in [
        "",
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin1",
        "application/jsonx",
        "application/json, text/plain",
        "json",
        "application/merge-patch+json",
    ] {
        cases.push(case(
            kind,
            place(&[("content-type", kind.as_bytes())], order.as_bytes()),
            415,
            "unsupported-media-type",
        ));
    }
    cases.push(case(
        "no type",
        place(&[], order.as_bytes()),
        415,
        "unsupported-media-type",
    ));
    cases.push(case(
        "two types",
        place(&[json, json], order.as_bytes()),
        415,
        "unsupported-media-type",
    ));
    for coding in ["gzip", "br", "x"] {
        cases.push(case(
            coding,
            place(&[json, ("content-encoding", coding.as_bytes())], order.as_bytes()),
            415,
            "unsupported-media-type",
        ));
    }
    for accept in [
        "text/html",
        "image/*",
        "application/json;q=0",
        "application/problem+json",
        "",
        "nonsense",
        "*",
    ] {
        cases.push(case(
            accept,
            place(&[json, ("accept", accept.as_bytes())], order.as_bytes()),
            406,
            "not-acceptable",
        ));
    }
    let long = "k".repeat(256);
    for key in [
        "",
        "\"\"",
        "\"",
        "\"a",
        "a\"b",
        "a b",
        "a, b",
        "\"a\";x=1",
        "\"a\\n\"",
        "\"a\", \"b\"",
        "cl\u{e9}",
        &long,
    ] {
        cases.push(case(
            key,
            place(&[json, ("idempotency-key", key.as_bytes())], order.as_bytes()),
            400,
            "invalid-idempotency-key",
        ));
    }
    let two = place(
        &[json, ("idempotency-key", b"a"), ("idempotency-key", b"a")],
        order.as_bytes(),
    );
    cases.push(case("two keys", two, 400, "invalid-idempotency-key"));
    for pointer in ["/items/0/quantity", "/totalAmount"] {
        let other = order_with("USED", pointer, 3)["payload"].to_string();
        let bytes = place(&[json, ("idempotency-key", USED.as_bytes())], other.as_bytes());
        cases.push(case("a key that was used", bytes, 422, "idempotency-key-reused"));
    }
    let renamed = place(&[json, ("idempotency-key", b"used before")], order.as_bytes());
    cases.push(case(
        "a key with a space and no quotes",
        renamed,
        400,
        "invalid-idempotency-key",
    ));
    cases.extend(on_customers(&bearer));
    cases.extend(malformed(&bearer, &order));
    for (n, last) in ["x", "-1", "1.5", "", "18446744073709551616", "1, 2"]
        .iter()
        .enumerate()
    {
        let headers = [
            ("authorization", bearer.as_bytes()),
            ("last-event-id", last.as_bytes()),
        ];
        let bytes = request("GET", "/v1/orders/USED/stream", &headers, b"");
        cases.push(case(&format!("last event {n}"), bytes, 400, "invalid-header"));
    }
    cases
}

fn on_customers(bearer: &str) -> Vec<Case> {
    let change = |name: &str, tag: Option<&str>, body: &str, status, code| {
        let mut headers = vec![
            ("authorization", bearer.as_bytes()),
            ("content-type", &b"application/json"[..]),
        ];
        headers.extend(tag.map(|tag| ("if-match", tag.as_bytes())));
        let bytes = request("PATCH", "/v1/customers/NONE", &headers, body.as_bytes());
        Case {
            name: name.to_owned(),
            bytes,
            status,
            code,
            header: None,
            ends: false,
        }
    };
    let email = r#"{"email":"a@b"}"#;
    let mut cases = vec![
        change("no If-Match", None, email, 428, "precondition-required"),
        change("nobody", Some("*"), email, 404, "not-found"),
    ];
    for tag in [
        "",
        "17",
        "W/\"17\"",
        "\"x\"",
        "\"17\", \"18\"",
        "\"-1\"",
        "\"17",
        "\"\"",
    ] {
        cases.push(change(
            &format!("If-Match {tag}"),
            Some(tag),
            email,
            400,
            "invalid-header",
        ));
    }
    for body in [
        r#"{}"#,
        r#"{"email":"nobody"}"#,
        r#"{"email":"a@b","address":{"street":"s","city":"c","zip":"z"}}"#,
        r#"{"name":"Eve"}"#,
        r#"{"email":"a@b","email":"c@d"}"#,
        "[]",
    ] {
        cases.push(change(body, Some("*"), body, 422, "invalid"));
    }
    cases
}

fn malformed(bearer: &str, order: &str) -> Vec<Case> {
    let case = |name: &str, bytes: Vec<u8>, status, code| Case {
        name: name.to_owned(),
        bytes,
        status,
        code,
        header: None,
        ends: false,
    };
    let head = |lines: &str| {
        format!("GET /v1/orders/USED HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\nauthorization: {bearer}\r\n{lines}\r\n").into_bytes()
    };
    let bad = |name: &str, bytes: Vec<u8>| case(name, bytes, 400, "malformed-request");
    let mut cases = vec![
        bad("garbage", b"\x16\x03\x01\x02\0\x01\r\n\r\n".to_vec()),
        bad("another version", b"GET / HTTP/3.0\r\n\r\n".to_vec()),
        bad(
            "a space in the address",
            b"GET /v1/orders/ORD 1 HTTP/1.1\r\n\r\n".to_vec(),
        ),
        bad("no method", b" / HTTP/1.1\r\n\r\n".to_vec()),
        bad("a bracket for a method", b"G(T / HTTP/1.1\r\n\r\n".to_vec()),
        bad("a line break in a header", head("x-one: a\n b\r\n")),
        bad("a folded header", head("x-one: a\r\n b\r\n")),
        bad("a zero byte in a header", head("x-one: a\0b\r\n")),
        bad("a space in a name", head("x one: a\r\n")),
        bad("a space before the colon", head("x-one : a\r\n")),
        bad("no colon", head("x-one\r\n")),
        bad("an empty name", head(": a\r\n")),
        bad("a length that is none", head("content-length: many\r\n")),
        bad("a negative length", head("content-length: -1\r\n")),
        bad("two lengths", head("content-length: 1\r\ncontent-length: 2\r\n")),
    ];
    let json = ("content-type", &b"application/json"[..]);
    let auth = ("authorization", bearer.as_bytes());
    let longer = (order.len() + 1).to_string();
    let bytes = request(
        "POST",
        "/v1/orders",
        &[auth, json, ("content-length", longer.as_bytes())],
        order.as_bytes(),
    );
    cases.push(Case {
        ends: true,
        ..bad("a body that ends early", bytes)
    });
    for chunks in ["zz\r\nabc\r\n0\r\n\r\n", "5\r\nab", "fffffffffffffffff\r\n"] {
        let bytes = request(
            "POST",
            "/v1/orders",
            &[auth, json, ("transfer-encoding", b"chunked")],
            chunks.as_bytes(),
        );
        cases.push(Case {
            ends: true,
            ..bad(chunks, bytes)
        });
    }
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 66_000, "x".repeat(66_000));
    let bytes = request(
        "POST",
        "/v1/orders",
        &[auth, json, ("transfer-encoding", b"chunked")],
        chunk.as_bytes(),
    );
    cases.push(case("chunks that are too large", bytes, 413, "body-too-large"));
    for (count, length) in [(65, 1), (300, 1), (2, 10_000), (1, 70_000)] {
        let lines: String = (0..count)
            .map(|n| format!("x-{n}: {}\r\n", "y".repeat(length)))
            .collect();
        cases.push(case(
            &format!("{count} headers of {length}"),
            head(&lines),
            431,
            "headers-too-large",
        ));
    }
    for length in [4_100, 20_000] {
        let target = format!("/v1/orders/USED?as_of={}", "x".repeat(length));
        cases.push(case(
            &format!("an address of {length}"),
            request("GET", &target, &[auth], b""),
            414,
            "uri-too-long",
        ));
    }
    cases
}
