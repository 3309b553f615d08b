use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Provider, order, send};

const CHARGES: &str = "/v1/charges";
const REFUNDS: &str = "/v1/refunds";

fn with(field: &str, value: Value) -> String {
    let mut body = order("ORD-1");
    body[field] = value;
    body.to_string()
}

fn without(field: &str) -> String {
    let mut body = order("ORD-1");
    if let Some(fields) = body.as_object_mut() {
        fields.remove(field);
    }
    body.to_string()
}

fn bad_charges() -> Vec<(String, &'static str)> {
    let charge = "400 invalid_request";
    vec![
        (String::new(), "400 invalid_json"),
        ("{".into(), "400 invalid_json"),
        ("amount=5".into(), "400 invalid_json"),
        ("[]".into(), charge),
        ("7".into(), charge),
        (with("amount", json!(0)), "400 invalid_amount"),
        (with("amount", json!(-1)), "400 invalid_amount"),
        (with("amount", json!(1_000_000_001)), "400 invalid_amount"),
        (with("amount", json!(12.5)), charge),
        (with("amount", json!("12")), charge),
        (with("amount", json!(u64::MAX)), charge),
        (without("amount"), charge),
        (without("currency"), charge),
        (without("reference"), charge),
        (with("currency", json!("USD")), charge),
        (with("currency", json!("euro")), charge),
        (with("reference", json!("")), charge),
        (with("reference", json!("a\nb")), charge),
        (with("reference", json!("r".repeat(256))), charge),
        (with("customer", json!("")), charge),
        (with("source", json!("")), charge),
        (with("tip", json!(1)), charge),
        (with("source", json!("tok_delay_soon")), "400 invalid_simulation"),
        (
            with("reference", json!("delay_60001:ORD-1")),
            "400 invalid_simulation",
        ),
        (
            with("customer", json!("c".repeat(64 * 1024))),
            "413 body_too_large",
        ),
    ]
}

fn bad_refunds() -> Vec<(String, &'static str)> {
    let body = |key: Value, amount: Value| {
        json!({ "charge_key": key, "amount": amount, "reference": "r" }).to_string()
    };
    vec![
        ("nope".into(), "400 invalid_json"),
        (body(json!("k"), json!(0)), "400 invalid_amount"),
        (body(json!("k"), json!(1_000_000_001)), "400 invalid_amount"),
        (body(json!("a b"), json!(1)), "400 invalid_request"),
        (body(json!(null), json!(1)), "400 invalid_request"),
        (with("amount", json!(1)), "400 invalid_request"),
    ]
}

#[tokio::test]
async fn a_bad_body_is_refused_and_nothing_is_recorded() -> Result<()> {
    let provider = Provider::start().await?;
    let charges = bad_charges().into_iter().map(|case| (CHARGES, case));
    let refunds = bad_refunds().into_iter().map(|case| (REFUNDS, case));
    for (path, (body, expected)) in charges.chain(refunds) {
        let shown: String = body.chars().take(100).collect();
        let request = provider
            .api
            .request(Method::POST, path)
            .header("Idempotency-Key", "k1");
        assert_eq!(
            send(request.body(body)).await?.error()?,
            expected,
            "{path} {shown}"
        );
    }
    assert_eq!(provider.api.look_up("k1").await?.error()?, "404 no_such_key");
    assert_eq!(provider.ledger_text()?, "");
    assert_eq!(provider.api.charge("k1", &order("ORD-1")).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_bad_key_or_header_is_refused_and_nothing_is_recorded() -> Result<()> {
    let provider = Provider::start().await?;
    let request = || provider.api.request(Method::POST, CHARGES).json(&order("ORD-1"));
    assert_eq!(send(request()).await?.error()?, "400 missing_idempotency_key");
    for key in ["", "a b", "clé", &"k".repeat(256)] {
        let refused = send(request().header("Idempotency-Key", key)).await?;
        assert_eq!(refused.error()?, "400 invalid_idempotency_key", "{key:?}");
    }
    let twice = request()
        .header("Idempotency-Key", "k1")
        .header("Idempotency-Key", "k1");
    assert_eq!(send(twice).await?.error()?, "400 invalid_idempotency_key");
    for wish in ["", "declined", "decline,", "delay_", "delay_60001", "delay_-1"] {
        let refused = provider.api.simulate(wish, "k1", &order("ORD-1")).await?;
        assert_eq!(refused.error()?, "400 invalid_simulation", "{wish:?}");
    }
    for path in [
        "/v1/keys/a%20b",
        &format!("/v1/keys/{}", "k".repeat(256)),
        "/v1/keys/%ff",
    ] {
        assert_eq!(
            provider.api.get(path).await?.error()?,
            "400 invalid_idempotency_key",
            "{path}"
        );
        let settle = provider.api.request(Method::POST, &format!("{path}/settle"));
        assert_eq!(
            send(settle).await?.error()?,
            "400 invalid_idempotency_key",
            "{path}"
        );
    }
    assert_eq!(provider.ledger_text()?, "");
    Ok(())
}

#[tokio::test]
async fn the_limits_themselves_are_fine() -> Result<()> {
    let provider = Provider::start().await?;
    let key = format!("!~/%?#{}", "k".repeat(249));
    let mut body = order(&"r".repeat(255));
    body["amount"] = json!(1_000_000_000);
    assert_eq!(provider.api.charge(&key, &body).await?.status, 200);
    let escaped = key
        .replace('%', "%25")
        .replace('/', "%2F")
        .replace('?', "%3F")
        .replace('#', "%23");
    assert_eq!(provider.api.look_up(&escaped).await?.json()?["key"], key);
    assert_eq!(
        provider.api.settle(&escaped).await?.json()?["outcome"],
        "succeeded"
    );
    Ok(())
}

#[tokio::test]
async fn there_is_nothing_else_here() -> Result<()> {
    let provider = Provider::start().await?;
    assert_eq!(provider.api.get("/v2/charges").await?.error()?, "404 not_found");
    assert_eq!(
        provider.api.get(CHARGES).await?.error()?,
        "405 method_not_allowed"
    );
    assert_eq!(provider.api.look_up("unknown").await?.error()?, "404 no_such_key");
    Ok(())
}
