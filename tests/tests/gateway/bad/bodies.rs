use jetsaga_tests::harness::{order, order_with};
use serde_json::{Value, json};

use super::Case;
use crate::{front::Keys, raw::request};

/// Bodies of orders and customers that are refused.
pub(super) fn cases(keys: &Keys) -> Vec<Case> {
    let bearer = format!("Bearer {}", keys.shop);
    let post = |target: &str, name: String, body: &[u8], status, code| Case {
        name,
        bytes: request(
            "POST",
            target,
            &[
                ("authorization", bearer.as_bytes()),
                ("content-type", b"application/json"),
            ],
            body,
        ),
        status,
        code,
        header: None,
        ends: false,
    };
    let order_text = order("BAD")["payload"].to_string();
    let mut cases = Vec::new();
    for cut in 0..order_text.len() {
        let name = format!("an order cut at {cut}");
        cases.push(post(
            "/v1/orders",
            name,
            &order_text.as_bytes()[..cut],
            400,
            "malformed-json",
        ));
    }
    for (n, body) in malformed(&order_text).iter().enumerate() {
        let name = format!("malformed {n}: {:.60}", String::from_utf8_lossy(body));
        cases.push(post("/v1/orders", name, body, 400, "malformed-json"));
    }
    for depth in [17, 100, 10_000] {
        let body = format!("{{\"items\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        cases.push(post(
            "/v1/orders",
            format!("{depth} deep"),
            body.as_bytes(),
            400,
            "too-deep",
        ));
    }
    for payload in wrong_orders(&order_text) {
        cases.push(post(
            "/v1/orders",
            payload.clone(),
            payload.as_bytes(),
            422,
            "invalid",
        ));
    }
    for body in wrong_customers() {
        cases.push(post(
            "/v1/customers",
            body.to_string(),
            body.to_string().as_bytes(),
            422,
            "invalid",
        ));
    }
    for body in [
        json!({"reason": "x".repeat(201)}),
        json!({"reason": "a\nb"}),
        json!({"reason": 7}),
        json!({"why": "x"}),
    ] {
        let name = format!("cancel {body}");
        cases.push(post(
            "/v1/orders/USED/cancel",
            name,
            body.to_string().as_bytes(),
            422,
            "invalid",
        ));
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(64 * 1024));
    cases.push(post(
        "/v1/orders",
        "too large".to_owned(),
        large.as_bytes(),
        413,
        "body-too-large",
    ));
    cases
}

fn malformed(order: &str) -> Vec<Vec<u8>> {
    let quantity = |number: &str| {
        order
            .replacen("\"quantity\":2", &format!("\"quantity\":{number}"), 1)
            .into_bytes()
    };
    let street = |text: &[u8]| {
        let (before, after) = order.split_once("123 Main St").unwrap();
        [before.as_bytes(), text, after.as_bytes()].concat()
    };
    let mut all: Vec<Vec<u8>> = [
        "NaN",
        "Infinity",
        "-Infinity",
        "0x10",
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "--1",
        "1e400",
        "undefined",
        "None",
        "2,",
        "2;",
    ]
    .map(quantity)
    .into();
    all.extend([
        street(b"\\ud800"),
        street(b"\\udc00\\ud800"),
        street(b"\\uZZZZ"),
        street(b"\\x41"),
        street(b"\xff"),
        street(b"\xc0\xaf"),
        street(b"\xed\xa0\x80"),
        street(b"a\nb"),
        street(b"a\0b"),
        street(b"\""),
    ]);
    all.extend([
        format!("\u{feff}{order}").into_bytes(),
        format!("{order}{order}").into_bytes(),
        format!("{order},").into_bytes(),
        format!("// order\n{order}").into_bytes(),
        order.replace('"', "'").into_bytes(),
        order.replace(':', "=").into_bytes(),
        order.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        b"\0".to_vec(),
        b"orderId=1".to_vec(),
        b"<order/>".to_vec(),
        b"\x1f\x8b\x08\0".to_vec(),
        b"null null".to_vec(),
    ]);
    all
}

fn wrong_orders(order_text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut set =
        |pointer: &str, value: Value| wrong.push(order_with("BAD", pointer, value)["payload"].to_string());
    for pointer in [
        "/orderId",
        "/customerId",
        "/items",
        "/items/0",
        "/items/0/productId",
        "/items/0/quantity",
        "/totalAmount",
        "/shippingAddress",
        "/shippingAddress/street",
        "/shippingAddress/zip",
    ] {
        for value in [
            Value::Null,
            json!(true),
            json!(-1),
            json!([]),
            json!({}),
            json!(1e300),
            json!([[]]),
        ] {
            set(pointer, value);
        }
    }
    for id in [
        "ORD.*",
        ">",
        "*",
        "evt.>",
        "a.b",
        "",
        " ",
        "ORD 1",
        "ORD\0",
        "ORD\r\nNats-Rollup: all",
        "é",
        "\u{202e}",
        "$JS.API",
        "../x",
        "a/b",
        "%2e",
        &"x".repeat(65),
    ] {
        for pointer in ["/orderId", "/customerId", "/items/0/productId", "/paymentMethod"] {
            set(pointer, json!(id));
        }
    }
    set("/items/0/quantity", json!(0));
    set("/items/0/quantity", json!(10_001));
    set("/items/0/quantity", json!(2.5));
    set("/items/0/unitPrice", json!("1.00"));
    set("/totalAmount", json!("75.50"));
    set("/totalAmount", json!(75.505));
    set("/totalAmount", json!(10_000_000.01));
    set("/shippingAddress/street", json!(""));
    set("/shippingAddress/street", json!("x".repeat(201)));
    set("/shippingAddress/planet", json!("Mars"));
    set("/discount", json!(1));
    for field in ["orderId", "customerId", "items", "totalAmount", "shippingAddress"] {
        let mut order: Value = serde_json::from_str(order_text).unwrap();
        let value = order[field].take();
        let twice = format!("{{\"{field}\":{value},{}", &order_text[1..]);
        wrong.push(twice);
        if field != "orderId" {
            order.as_object_mut().unwrap().remove(field);
            wrong.push(order.to_string());
        }
    }
    wrong.push(order_text.replacen("\"quantity\":2", "\"quantity\":2,\"quantity\":2", 1));
    wrong.extend(["[]", "null", "7", "\"x\"", "{}"].map(str::to_owned));
    wrong.push(format!("[{order_text}]"));
    wrong
}

fn wrong_customers() -> Vec<Value> {
    let mut wrong = vec![
        json!({}),
        json!({"name": "Ada"}),
        json!({"email": "a@b"}),
        json!([]),
        json!(null),
    ];
    for (field, value) in [
        ("name", json!("")),
        ("name", json!(7)),
        ("name", json!("a\u{0}")),
        ("name", json!("x".repeat(201))),
        ("email", json!("nobody")),
        ("email", json!("@")),
        ("email", json!("a@b@c")),
        ("email", json!("a b@c")),
        ("email", json!(null)),
        ("email", json!("a@b\r\nBcc: c@d")),
        ("customerId", json!("a.b")),
        ("customerId", json!(">")),
        ("customerId", json!(7)),
        ("address", json!("home")),
        ("address", json!({"street": "x"})),
        ("address", json!({"street": "", "city": "c", "zip": "z"})),
        ("role", json!("admin")),
    ] {
        let mut customer = json!({"name": "Ada", "email": "ada@example.org"});
        customer[field] = value;
        wrong.push(customer);
    }
    wrong
}
