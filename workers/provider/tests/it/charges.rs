use anyhow::Result;
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::{Provider, Reply, order};

#[tokio::test]
async fn the_same_request_gets_the_first_answer_byte_for_byte() -> Result<()> {
    let provider = Provider::start().await?;
    let first = provider.api.charge("k1", &order("ORD-1")).await?;
    assert_eq!((first.status, first.replayed), (200, false));
    let expected = json!({
        "id": "ch_000000000001", "key": "k1", "amount": 1250, "currency": "usd",
        "reference": "ORD-1", "customer": "cus_1", "status": "succeeded",
    });
    assert_eq!(first.json()?, expected);

    let again = provider.api.charge("k1", &order("ORD-1")).await?;
    assert_eq!(
        again,
        Reply {
            replayed: true,
            ..first
        }
    );
    assert_eq!(provider.api.ledger().await?, ["charge k1"]);
    Ok(())
}

#[tokio::test]
async fn another_request_under_a_used_key_is_refused_and_changes_nothing() -> Result<()> {
    let provider = Provider::start().await?;
    let first = provider.api.charge("k1", &order("ORD-1")).await?;
    for (field, value) in [
        ("amount", json!(1251)),
        ("reference", json!("ORD-2")),
        ("customer", json!(null)),
    ] {
        let mut other = order("ORD-1");
        other[field] = value;
        let refused = provider.api.charge("k1", &other).await?;
        assert_eq!(refused.error()?, "422 idempotency_key_reuse", "{field}");
    }
    assert_eq!(provider.api.charge("k1", &order("ORD-1")).await?.body, first.body);
    assert_eq!(provider.api.ledger().await?, ["charge k1"]);
    Ok(())
}

#[tokio::test]
async fn a_decline_is_the_outcome_of_its_key() -> Result<()> {
    let provider = Provider::start().await?;
    let mut declined = order("ORD-1");
    declined["source"] = json!("tok_decline");
    let first = provider.api.charge("k1", &declined).await?;
    assert_eq!(
        (first.error()?.as_str(), first.replayed),
        ("402 card_declined", false)
    );
    let again = provider.api.charge("k1", &declined).await?;
    assert_eq!(
        again,
        Reply {
            replayed: true,
            ..first
        }
    );

    let known = provider.api.look_up("k1").await?;
    assert_eq!(known.json()?, json!({ "key": "k1", "outcome": "declined" }));
    assert_eq!(provider.api.ledger().await?, ["decline k1"]);
    Ok(())
}

#[tokio::test]
async fn fifty_identical_requests_at_once_make_one_ledger_line() -> Result<()> {
    let provider = Provider::start().await?;
    let mut requests = JoinSet::new();
    for _ in 0..50 {
        let api = provider.api.clone();
        requests.spawn(async move { api.simulate("delay_50", "k1", &order("ORD-1")).await });
    }
    let mut fresh = 0;
    let mut bodies = Vec::new();
    while let Some(reply) = requests.join_next().await {
        let reply = reply??;
        assert_eq!(reply.status, 200, "{reply:?}");
        fresh += u32::from(!reply.replayed);
        bodies.push(reply.body);
    }
    assert_eq!((fresh, bodies.len()), (1, 50));
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(provider.ledger_text()?.lines().count(), 1);
    Ok(())
}

#[tokio::test]
async fn the_ledger_pages_and_the_totals_add_up() -> Result<()> {
    let provider = Provider::start().await?;
    let api = &provider.api;
    api.charge("k1", &order("ORD-1")).await?;
    let mut euro = order("ORD-2");
    (euro["currency"], euro["amount"]) = (json!("eur"), json!(7));
    api.charge("k2", &euro).await?;
    api.refund("r1", &crate::harness::refund_of("k1", 50)).await?;
    api.simulate("decline", "k3", &order("ORD-3")).await?;
    api.settle("k4").await?;

    let expected = json!({
        "charged": 1257, "refunded": 50,
        "by_currency": {
            "eur": { "charged": 7, "refunded": 0 }, "usd": { "charged": 1250, "refunded": 50 },
        },
        "charges": 2, "refunds": 1,
        "keys": { "succeeded": 3, "declined": 1, "forbidden": 1, "in_flight": 0 },
        "entries": 5,
    });
    assert_eq!(api.get("/v1/totals").await?.json()?, expected);
    assert_eq!(api.get("/v1/ledger").await?.body, provider.ledger_text()?);
    let page = api.get("/v1/ledger?after=3").await?.body;
    assert_eq!(
        page,
        provider
            .ledger_text()?
            .split_inclusive('\n')
            .skip(3)
            .collect::<String>()
    );
    assert_eq!(api.get("/v1/ledger?after=99").await?.body, "");
    assert_eq!(
        api.get("/v1/ledger?after=x").await?.error()?,
        "400 invalid_request"
    );
    assert_eq!(api.get("/livez").await?.body, "ok");
    Ok(())
}
