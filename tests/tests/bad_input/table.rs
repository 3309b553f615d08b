//! The bad messages, each with what its letter has to say.

use anyhow::{Context as _, Result};
use jetsaga_tests::harness::{order, order_with};
use serde_json::{Value, json};

const CREATED: &str = "in.checkout.OrderCreated";
const FIELDS: &str = include_str!("fields.txt");
const ENVELOPES: &str = include_str!("envelopes.txt");

/// A bad message.
pub(crate) struct Case {
    /// Where it is published.
    pub(crate) subject: &'static str,
    /// What is published.
    pub(crate) body: Vec<u8>,
    /// The reason that its letter names.
    pub(crate) reason: &'static str,
    /// What the letter's detail has to hold.
    pub(crate) says: Vec<String>,
}

impl Case {
    fn new(subject: &'static str, body: impl Into<Vec<u8>>, reason: &'static str, says: &[&str]) -> Self {
        let says = says.iter().map(|part| (*part).to_owned()).collect();
        Self {
            subject,
            body: body.into(),
            reason,
            says,
        }
    }
}

/// All of them.
pub(crate) fn cases() -> Result<Vec<Case>> {
    let mut cases = wrong_fields()?;
    cases.extend(wrong_envelopes()?);
    cases.extend(no_events());
    cases.extend(deep_and_huge());
    cases.extend(wrong_inboxes());
    Ok(cases)
}

/// The rows of a table: its cells, without the blanks around them.
fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(" |").map(str::trim).collect())
}

fn wrong_fields() -> Result<Vec<Case>> {
    let read = |row: Vec<&str>| {
        let [pointer, value, says @ ..] = row.as_slice() else {
            anyhow::bail!("{row:?} is no row");
        };
        let value: Value = serde_json::from_str(value).with_context(|| (*value).to_owned())?;
        Ok(Case::new(
            CREATED,
            order_with("BAD", pointer, value).to_string(),
            "invalid",
            says,
        ))
    };
    rows(FIELDS).map(read).collect()
}

fn wrong_envelopes() -> Result<Vec<Case>> {
    let read = |row: Vec<&'static str>| {
        let [field, value, reason, says @ ..] = row.as_slice() else {
            anyhow::bail!("{row:?} is no row");
        };
        let mut event = order("BAD");
        if value.is_empty() {
            event.as_object_mut().map(|fields| fields.remove(*field));
        } else {
            event[*field] = serde_json::from_str(value).with_context(|| (*value).to_owned())?;
        }
        Ok(Case::new(CREATED, event.to_string(), reason, says))
    };
    rows(ENVELOPES).map(read).collect()
}

fn no_events() -> Vec<Case> {
    let good = order("BAD").to_string();
    let mut not_utf8 = good.clone().into_bytes();
    not_utf8[good.find("Anytown").unwrap_or_default()] = 0xff;
    let no_event = |body: &[u8], why: &str| Case::new(CREATED, body, "undecodable", &["it is no event", why]);
    vec![
        no_event(b"hello", "expected value"),
        no_event(b"", "EOF"),
        no_event(b"null", "null"),
        no_event(b"\xff\xfe\x00", "expected value"),
        no_event(&good.as_bytes()[..good.len() / 2], "EOF"),
        no_event(format!("{good}{good}").as_bytes(), "trailing characters"),
        no_event(&not_utf8, "invalid unicode"),
        no_event(as_list(&order("BAD")).as_bytes(), "it takes a JSON object"),
        no_event(nested("[", "]").as_bytes(), "line 1"),
        no_event(nested("{\"a\":", "}").as_bytes(), "missing field"),
    ]
}

/// The fields of an event in their order, without their names.
fn as_list(event: &Value) -> String {
    let fields = ["eventId", "eventType", "timestamp", "payload"].map(|name| event[name].clone());
    Value::from(fields.to_vec()).to_string()
}

fn deep_and_huge() -> Vec<Case> {
    let good = order("BAD");
    let payload = |text: &str| good.to_string().replace(&good["payload"].to_string(), text);
    let total = |text: &str| good.to_string().replace("75.5", text);
    let with = |pointer: &str, value: Value| order_with("BAD", pointer, value).to_string();
    let items: Vec<Value> = (0..1_001)
        .map(|n| json!({"productId": n.to_string(), "quantity": 1}))
        .collect();
    let invalid = |body: String, says: &[&str]| Case::new(CREATED, body, "invalid", says);
    let amount = "payload.totalAmount:";
    vec![
        invalid(payload(&nested("[", "]")), &["payload"]),
        invalid(
            payload(&nested("{\"a\":", "}")),
            &["payload", "unknown field `a`"],
        ),
        invalid(total(&nested("[", "]")), &[amount, "plain decimal number"]),
        invalid(total("1e999"), &[amount, "plain decimal number"]),
        invalid(total("1e3"), &[amount, "plain decimal number"]),
        invalid(total(&"9".repeat(5_000)), &[amount, "the largest amount"]),
        invalid(total("1,\"totalAmount\":2"), &["duplicate field `totalAmount`"]),
        invalid(
            with("/items", json!(items)),
            &["items has 1001 entries", "1 to 1000 items"],
        ),
        invalid(
            with("/orderId", json!("x".repeat(65))),
            &["payload.orderId:", "65 bytes", "1 to 64"],
        ),
        invalid(
            with("/shippingAddress/street", json!("s".repeat(201))),
            &["street has more than 200"],
        ),
        invalid(
            with("/shippingAddress/street", json!("s".repeat(65_536))),
            &["bytes", "at most 65536"],
        ),
    ]
}

/// 10,000 levels.
fn nested(open: &str, close: &str) -> String {
    format!("{}1{}", open.repeat(10_000), close.repeat(10_000))
}

fn wrong_inboxes() -> Vec<Case> {
    let event = |event_type: &str, payload: &Value| {
        let mut event = order("BAD");
        event["eventType"] = event_type.into();
        event["payload"] = payload.clone();
        event.to_string()
    };
    let payload = &order("BAD")["payload"];
    let cancel = |payload: Value, says: &[&str]| {
        let event_type = "OrderCancellationRequested";
        let body = event(event_type, &payload);
        Case::new("in.checkout.OrderCancellationRequested", body, "invalid", says)
    };
    let takes = "it takes OrderCreated or OrderCancellationRequested";
    vec![
        Case::new(
            "in.checkout.OrderShipped",
            event("OrderShipped", payload),
            "invalid",
            &[takes],
        ),
        Case::new(
            "in.checkout.Invented",
            event("Invented", payload),
            "invalid",
            &["Invented", takes],
        ),
        cancel(json!({}), &["payload: orderId is missing or no text"]),
        cancel(json!({"orderId": 5}), &["payload: orderId is missing or no text"]),
        cancel(json!({"orderId": "a.b"}), &["payload.orderId:", "'.'"]),
        cancel(json!([]), &["payload:", "expected a map"]),
    ]
}
