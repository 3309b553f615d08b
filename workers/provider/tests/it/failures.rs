use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::harness::{Provider, Reply, order, refund_of, send};

/// The connection was closed in place of an answer.
fn is_lost(reply: Result<Reply>) -> Result<bool> {
    let error = reply.err().context("an answer came")?;
    let error = error.downcast::<reqwest::Error>()?;
    Ok(error.is_request() && !error.is_connect() && !error.is_timeout())
}

fn from_source(source: &str) -> Value {
    let mut body = order("ORD-1");
    body["source"] = json!(source);
    body
}

#[tokio::test]
async fn a_lost_answer_has_charged_and_the_retry_replays_it() -> Result<()> {
    let provider = Provider::start().await?;
    let api = &provider.api;
    let bodies = [from_source("tok_lost_answer"), order("lost_answer:ORD-1")];
    for (key, body) in ["k1", "k2"].into_iter().zip(&bodies) {
        assert!(is_lost(api.charge(key, body).await)?, "{key}");
        let known = api.look_up(key).await?.json()?;
        assert_eq!(known["outcome"], "succeeded", "{key}");
        let retry = api.charge(key, body).await?;
        assert_eq!((retry.status, retry.replayed), (200, true), "{key}");
        assert_eq!(retry.json()?, known["charge"], "{key}");
    }
    let refund = || {
        api.post("/v1/refunds", "r1", &refund_of("k1", 5))
            .header("X-Simulate", "lost_answer")
    };
    assert!(is_lost(send(refund()).await)?);
    assert!(send(refund()).await?.replayed);
    assert_eq!(api.ledger().await?, ["charge k1", "charge k2", "refund r1"]);
    Ok(())
}

#[tokio::test]
async fn a_lost_decline_is_lost_too() -> Result<()> {
    let provider = Provider::start().await?;
    let lost = provider
        .api
        .simulate("decline, lost_answer", "k1", &order("ORD-1"))
        .await;
    assert!(is_lost(lost)?);
    let retry = provider.api.charge("k1", &order("ORD-1")).await?;
    assert_eq!((retry.status, retry.replayed), (402, true));
    Ok(())
}

#[tokio::test]
async fn an_error_once_does_nothing_and_the_retry_charges() -> Result<()> {
    let provider = Provider::start().await?;
    let body = from_source("tok_error_once");
    assert_eq!(
        provider.api.charge("k1", &body).await?.error()?,
        "500 simulated_error"
    );
    assert_eq!(provider.api.look_up("k1").await?.error()?, "404 no_such_key");
    let retry = provider.api.charge("k1", &body).await?;
    assert_eq!((retry.status, retry.replayed), (200, false));
    Ok(())
}

#[tokio::test]
async fn the_rates_change_at_run_time() -> Result<()> {
    let provider = Provider::start().await?;
    let api = &provider.api;
    let mut expected = json!({
        "decline_rate": 0.0, "error_rate": 0.0, "delay_ms": 0, "delay_rate": 1.0,
        "lost_answer_rate": 0.0, "seed": 0,
    });
    assert_eq!(api.get("/v1/admin/failures").await?.json()?, expected);

    expected["error_rate"] = json!(1.0);
    assert_eq!(api.set_failures(&json!({ "error_rate": 1 })).await?, expected);
    for _ in 0..3 {
        assert_eq!(
            api.charge("k1", &order("ORD-1")).await?.error()?,
            "500 simulated_error"
        );
    }
    assert!(api.ledger().await?.is_empty());

    api.set_failures(&json!({ "error_rate": 0, "lost_answer_rate": 1 }))
        .await?;
    for _ in 0..2 {
        assert!(is_lost(api.charge("k1", &order("ORD-1")).await)?);
    }
    api.set_failures(&json!({ "lost_answer_rate": 0, "decline_rate": 1 }))
        .await?;
    assert_eq!(api.charge("k2", &order("ORD-2")).await?.status, 402);
    api.set_failures(&json!({ "decline_rate": 0 })).await?;
    assert_eq!(api.charge("k2", &order("ORD-2")).await?.status, 402);
    assert_eq!(api.ledger().await?, ["charge k1", "decline k2"]);
    Ok(())
}

#[tokio::test]
async fn wrong_rates_are_refused_and_change_nothing() -> Result<()> {
    let provider = Provider::start().await?;
    let before = provider.api.get("/v1/admin/failures").await?.body;
    for (body, message) in [
        (
            json!({ "decline_rate": 0.5, "error_rate": 1.5 }),
            "error_rate is 1.5: expected a probability",
        ),
        (
            json!({ "delay_ms": 60_001 }),
            "delay_ms is 60001: expected a number of milliseconds",
        ),
        (json!({ "delay_ms": -1 }), "invalid value"),
        (json!({ "rate": 0.5 }), "unknown field `rate`"),
    ] {
        let request = provider
            .api
            .request(reqwest::Method::POST, "/v1/admin/failures")
            .json(&body);
        let refused = send(request).await?;
        assert_eq!(refused.error()?, "400 invalid_request", "{body}");
        assert!(refused.body.contains(message), "{refused:?}");
    }
    assert_eq!(provider.api.get("/v1/admin/failures").await?.body, before);

    let wrong = Provider::start_with(|config| config.failures.delay_rate = -1.0).await?;
    assert_eq!(
        wrong.error().await?,
        "delay_rate is -1: expected a probability from 0 to 1, such as 0.05"
    );
    Ok(())
}

#[tokio::test]
async fn the_same_seed_fails_the_same_requests() -> Result<()> {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let provider = Provider::start_with(|config| {
            (config.failures.seed, config.failures.decline_rate) = (seed, 0.5);
            config.failures.error_rate = 0.3;
        })
        .await?;
        let mut statuses = Vec::new();
        for n in 0..60 {
            statuses.push(
                provider
                    .api
                    .charge(&format!("k{}", n / 2), &order("ORD-1"))
                    .await?
                    .status,
            );
        }
        for status in [200, 402, 500] {
            assert!(statuses.contains(&status), "{status} is not in {statuses:?}");
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    Ok(())
}
