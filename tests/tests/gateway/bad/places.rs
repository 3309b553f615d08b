use jetsaga_tests::harness::order;

use super::Case;
use crate::{front::Keys, raw::request};

/// Paths, queries, methods and tokens that are refused.
pub(super) fn cases(keys: &Keys) -> Vec<Case> {
    let shop = format!("Bearer {}", keys.shop);
    let staff = format!("Bearer {}", keys.operator);
    let with = |bearer: &str, method: &str, target: &str, status, code| Case {
        name: format!("{method} {target:.80}"),
        bytes: request(method, target, &[("authorization", bearer.as_bytes())], b""),
        status,
        code,
        header: None,
        ends: false,
    };
    let mut cases = Vec::new();
    for id in [
        "ORD.*",
        "%3E",
        "%2A",
        "*",
        "ORD%2E1",
        "ORD%20",
        "%00",
        "%0d%0aX:1",
        "%c3%a9",
        "%ff",
        "%2e%2e",
        "..",
        ".",
        "a%2fb",
        "~",
        "ORD;1",
        "ORD=1",
        "@",
        "%zz",
        "%",
        &"x".repeat(65),
    ] {
        for (method, before, after) in [
            ("GET", "/v1/orders/", ""),
            ("GET", "/v1/orders/", "/history"),
            ("GET", "/v1/orders/", "/stream"),
            ("POST", "/v1/orders/", "/cancel"),
            ("GET", "/v1/customers/", ""),
            ("GET", "/v1/customers/", "/history"),
            ("GET", "/v1/products/", ""),
        ] {
            cases.push(with(
                &shop,
                method,
                &format!("{before}{id}{after}"),
                400,
                "invalid-identifier",
            ));
        }
        cases.push(with(
            &staff,
            "DELETE",
            &format!("/v1/customers/{id}"),
            400,
            "invalid-identifier",
        ));
    }
    cases.push(with(
        &shop,
        "GET",
        "/v1/orders//history",
        400,
        "invalid-identifier",
    ));
    for id in ["abc", "-1", "1.5", "0x1", "18446744073709551616", "*"] {
        cases.push(with(
            &staff,
            "GET",
            &format!("/v1/letters/{id}"),
            400,
            "invalid-identifier",
        ));
        cases.push(with(
            &staff,
            "POST",
            &format!("/v1/letters/{id}/redrive"),
            400,
            "invalid-identifier",
        ));
        cases.push(with(
            &staff,
            "DELETE",
            &format!("/v1/letters/{id}"),
            400,
            "invalid-identifier",
        ));
    }
    for path in [
        "/v1/letters/0",
        "/v1/letters/999",
        "/v1/orders/NONE",
        "/v1/orders/NONE/history",
        "/v1/orders/NONE/stream",
        "/v1/customers/NONE",
        "/v1/customers/NONE/history",
        "/v1/products/NONE",
    ] {
        cases.push(with(&staff, "GET", path, 404, "not-found"));
    }
    for (method, path) in [
        ("POST", "/v1/orders/NONE/cancel"),
        ("DELETE", "/v1/customers/NONE"),
        ("DELETE", "/v1/letters/7"),
        ("POST", "/v1/letters/7/redrive"),
    ] {
        cases.push(with(&staff, method, path, 404, "not-found"));
    }
    for path in [
        "/",
        "/v1",
        "/v2/orders",
        "/v1/orders/USED/",
        "/v1/ORDERS/USED",
        "//v1/orders",
        "/v1/orders/USED/history/x",
        "/%2e%2e/etc/passwd",
        "/metrics",
        "/v1/orders/USED/stream/../cancel",
    ] {
        cases.push(with(&shop, "GET", path, 404, "unknown-path"));
    }
    for query in [
        "as_of=",
        "as_of=yesterday",
        "as_of=2023-10-27",
        "as_of=2023-13-27T10:30:00Z",
        "as_of=2023-10-27T10:30:00",
        "as_of=seq:",
        "as_of=seq:-1",
        "as_of=seq:1.5",
        "as_of=seq:99999999999999999999",
        "as_of=seq:*",
        "as_of=1&as_of=2",
        "as_off=seq:1",
        "as_of=%ff",
        "as_of=seq:%31%00",
    ] {
        cases.push(with(
            &shop,
            "GET",
            &format!("/v1/orders/USED?{query}"),
            400,
            "invalid-query",
        ));
        cases.push(with(
            &shop,
            "GET",
            &format!("/v1/customers/USED?{query}"),
            400,
            "invalid-query",
        ));
    }
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=",
        "after=-1",
        "after=x",
        "limit=1&limit=2",
        "limt=5",
    ] {
        cases.push(with(
            &staff,
            "GET",
            &format!("/v1/letters?{query}"),
            400,
            "invalid-query",
        ));
    }
    for query in [
        "status=done",
        "status=",
        "customer=a.b",
        "customer=%3E",
        "customer=*",
        "from=yesterday",
        "from=",
        "to=2026-11-24",
        "to=now",
        "cursor=",
        "cursor=x",
        "cursor=%00",
        "cursor=1.2.3",
        "limit=0",
        "limit=201",
        "limit=x",
        "order=up",
        "order=",
        "min_seq=x",
        "min_seq=-1",
        "page=2",
        "limit=1&limit=1",
    ] {
        cases.push(with(
            &shop,
            "GET",
            &format!("/v1/orders?{query}"),
            400,
            "invalid-query",
        ));
    }
    for query in [
        "from=yesterday",
        "to=2026-13-01",
        "from=2026-11-24T00:00:00Z",
        "day=2026-11-24",
    ] {
        cases.push(with(
            &staff,
            "GET",
            &format!("/v1/revenue?{query}"),
            400,
            "invalid-query",
        ));
    }
    cases.push(with(
        &shop,
        "GET",
        "/v1/orders?limit=200&order=oldest",
        501,
        "no-read-model",
    ));
    for query in ["after=-1", "after=x", "after=1&after=1", "from=1"] {
        cases.push(with(
            &shop,
            "GET",
            &format!("/v1/orders/USED/stream?{query}"),
            400,
            "invalid-query",
        ));
    }
    cases.push(with(
        &staff,
        "GET",
        "/v1/orders/USED?as_of=seq:0",
        404,
        "not-found",
    ));
    cases.push(with(
        &staff,
        "GET",
        "/v1/orders/USED?as_of=2020-01-01T00:00:00Z",
        404,
        "not-found",
    ));
    cases.push(with(
        &staff,
        "GET",
        "/v1/stream?after=999999999",
        400,
        "invalid-header",
    ));
    cases.extend(methods(&shop));
    cases.extend(tokens(keys));
    cases
}

fn methods(shop: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for (path, allowed, others) in [
        ("/v1/orders", "POST", &["PUT", "PATCH", "DELETE"][..]),
        (
            "/v1/orders/USED",
            "GET",
            &[
                "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get",
            ],
        ),
        ("/v1/orders/USED/cancel", "POST", &["GET", "PUT", "DELETE"]),
        ("/v1/orders/USED/stream", "GET", &["POST", "DELETE"]),
        ("/v1/customers", "POST", &["GET", "PUT"]),
        ("/v1/customers/USED", "PATCH", &["POST", "PUT"]),
        ("/v1/letters/1", "DELETE", &["POST", "PUT", "PATCH"]),
        ("/openapi.json", "GET", &["POST", "DELETE"]),
    ] {
        cases.extend(others.iter().map(|method| Case {
            name: format!("{method} {path}"),
            bytes: request(method, path, &[("authorization", shop.as_bytes())], b""),
            status: 405,
            code: "method-not-allowed",
            header: Some(("allow", allowed)),
            ends: false,
        }));
    }
    cases
}

fn tokens(keys: &Keys) -> Vec<Case> {
    let mut cases = Vec::new();
    let shop = &keys.shop;
    let case = |name: String, bytes, status, code, header| Case {
        name,
        bytes,
        status,
        code,
        header,
        ends: false,
    };
    let body = order("BAD")["payload"].to_string();
    for (n, given) in [
        &b""[..],
        b"Bearer",
        b"Bearer ",
        b"Bearer x",
        b"Basic dTpw",
        b"Bearer \xff\xfe",
        b"Token x",
        shop.as_bytes(),
        format!("Bearer  {shop}").as_bytes(),
        format!("Bearer {shop}x").as_bytes(),
        format!("Bearer {}", &shop[..shop.len() - 1]).as_bytes(),
        format!("Bearer {}", shop.to_uppercase()).as_bytes(),
        format!("Bearer {shop}, Bearer {shop}").as_bytes(),
    ]
    .iter()
    .enumerate()
    {
        let headers = [
            ("authorization", *given),
            ("content-type", &b"application/json"[..]),
        ];
        let asks = Some(("www-authenticate", "Bearer"));
        cases.push(case(
            format!("token {n}"),
            request("GET", "/v1/orders/USED", &headers, b""),
            401,
            "unauthenticated",
            asks,
        ));
        cases.push(case(
            format!("token {n} places"),
            request("POST", "/v1/orders", &headers, body.as_bytes()),
            401,
            "unauthenticated",
            asks,
        ));
    }
    let bearer = format!("Bearer {shop}");
    let twice = [
        ("authorization", bearer.as_bytes()),
        ("authorization", bearer.as_bytes()),
    ];
    cases.push(case(
        "two tokens".to_owned(),
        request("GET", "/v1/orders/USED", &twice, b""),
        401,
        "unauthenticated",
        None,
    ));
    cases.push(case(
        "no token".to_owned(),
        request("GET", "/v1/orders/USED", &[], b""),
        401,
        "unauthenticated",
        None,
    ));
    for (method, path) in [
        ("GET", "/v1/stream"),
        ("GET", "/v1/letters"),
        ("GET", "/v1/letters/1"),
        ("POST", "/v1/letters/1/redrive"),
        ("DELETE", "/v1/letters/1"),
        ("DELETE", "/v1/customers/USED"),
        ("GET", "/v1/revenue"),
    ] {
        let bytes = request(method, path, &[("authorization", bearer.as_bytes())], b"");
        cases.push(case(
            format!("the shop: {method} {path}"),
            bytes,
            403,
            "forbidden",
            None,
        ));
    }
    cases
}
