use anyhow::Result;
use serde_json::json;

use crate::harness::{Provider, order, refund_of};

#[tokio::test]
async fn a_key_settled_before_its_charge_never_charges() -> Result<()> {
    let provider = Provider::start().await?;
    let forbidden = json!({ "key": "k1", "outcome": "forbidden" });
    for _ in 0..2 {
        let settled = provider.api.settle("k1").await?;
        assert_eq!((settled.status, settled.json()?), (200, forbidden.clone()));
    }
    let provider = provider.restart().await?;
    assert_eq!(
        provider.api.charge("k1", &order("ORD-1")).await?.error()?,
        "409 key_forbidden"
    );
    assert_eq!(
        provider.api.refund("k1", &refund_of("k1", 1)).await?.error()?,
        "409 key_forbidden"
    );
    assert_eq!(provider.api.look_up("k1").await?.json()?, forbidden);
    assert_eq!(provider.api.ledger().await?, ["forbid k1"]);
    Ok(())
}

#[tokio::test]
async fn settling_after_the_outcome_returns_it_unchanged() -> Result<()> {
    let provider = Provider::start().await?;
    let api = &provider.api;
    let charge = api.charge("k1", &order("ORD-1")).await?.json()?;
    api.simulate("decline", "k2", &order("ORD-2")).await?;

    let settled = api.settle("k1").await?;
    assert_eq!(
        settled.json()?,
        json!({ "key": "k1", "outcome": "succeeded", "charge": charge })
    );
    assert_eq!(settled.body, api.look_up("k1").await?.body);
    assert_eq!(
        api.settle("k2").await?.json()?,
        json!({ "key": "k2", "outcome": "declined" })
    );
    assert_eq!(api.charge("k1", &order("ORD-1")).await?.status, 200);
    assert_eq!(api.ledger().await?, ["charge k1", "decline k2"]);
    Ok(())
}

#[tokio::test]
async fn settling_beats_a_charge_which_is_still_on_its_way() -> Result<()> {
    let provider = Provider::start().await?;
    let api = provider.api.clone();
    let charging = tokio::spawn(async move { api.simulate("delay_3000", "k1", &order("ORD-1")).await });
    provider.api.wait_for("k1", "in_flight").await?;
    assert_eq!(
        provider.api.look_up("k1").await?.json()?,
        json!({ "key": "k1", "outcome": "in_flight" })
    );

    assert_eq!(provider.api.settle("k1").await?.json()?["outcome"], "forbidden");
    assert_eq!(provider.api.look_up("k1").await?.json()?["outcome"], "forbidden");
    assert_eq!(charging.await??.error()?, "409 key_forbidden");
    assert_eq!(provider.api.ledger().await?, ["forbid k1"]);
    assert_eq!(provider.api.get("/v1/totals").await?.json()?["charged"], 0);
    Ok(())
}

/// Whoever is first, the charge's answer and the settled outcome agree.
#[tokio::test]
async fn a_charge_racing_its_settling_has_one_outcome() -> Result<()> {
    let provider = Provider::start().await?;
    for n in 0..100 {
        let key = format!("k{n}");
        let order = order(&key);
        let (charged, settled) = tokio::join!(provider.api.charge(&key, &order), provider.api.settle(&key));
        let outcome = settled?.json()?["outcome"].clone();
        match charged?.status {
            200 => assert_eq!(outcome, "succeeded", "{key}"),
            409 => assert_eq!(outcome, "forbidden", "{key}"),
            other => anyhow::bail!("{key}: {other}"),
        }
    }
    assert_eq!(provider.api.ledger().await?.len(), 100);
    Ok(())
}
