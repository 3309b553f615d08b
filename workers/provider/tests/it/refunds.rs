use anyhow::Result;
use serde_json::json;

use crate::harness::{Provider, Reply, order, refund_of};

#[tokio::test]
async fn a_refund_is_replayed_under_its_key() -> Result<()> {
    let provider = Provider::start().await?;
    provider.api.charge("k1", &order("ORD-1")).await?;
    let first = provider.api.refund("r1", &refund_of("k1", 1000)).await?;
    let expected = json!({
        "id": "re_000000000002", "key": "r1", "charge_key": "k1", "amount": 1000,
        "reference": "ORD-1", "status": "succeeded",
    });
    assert_eq!((first.status, first.json()?), (200, expected.clone()));
    let again = provider.api.refund("r1", &refund_of("k1", 1000)).await?;
    assert_eq!(
        again,
        Reply {
            replayed: true,
            ..first
        }
    );
    let known = provider.api.look_up("r1").await?.json()?;
    assert_eq!(
        known,
        json!({ "key": "r1", "outcome": "succeeded", "refund": expected })
    );

    let other = provider.api.refund("r1", &refund_of("k1", 999)).await?;
    assert_eq!(other.error()?, "422 idempotency_key_reuse");
    let charge_under_it = provider.api.charge("r1", &order("ORD-1")).await?;
    assert_eq!(charge_under_it.error()?, "422 idempotency_key_reuse");
    assert_eq!(provider.api.ledger().await?, ["charge k1", "refund r1"]);
    Ok(())
}

#[tokio::test]
async fn what_was_never_charged_is_not_refunded() -> Result<()> {
    let provider = Provider::start().await?;
    let api = &provider.api;
    api.simulate("decline", "declined", &order("ORD-1")).await?;
    api.settle("forbidden").await?;
    api.charge("charged", &order("ORD-2")).await?;
    api.refund("refunded", &refund_of("charged", 1)).await?;
    for charge_key in ["unknown", "declined", "forbidden", "refunded"] {
        let refused = api.refund("r1", &refund_of(charge_key, 1)).await?;
        assert_eq!(refused.error()?, "404 no_such_charge", "{charge_key}");
    }
    assert_eq!(api.look_up("r1").await?.error()?, "404 no_such_key");
    assert_eq!(api.ledger().await?.len(), 4);
    Ok(())
}

#[tokio::test]
async fn refunds_never_exceed_their_charge_and_a_refusal_is_no_outcome() -> Result<()> {
    let provider = Provider::start().await?;
    let api = &provider.api;
    api.charge("k1", &order("ORD-1")).await?;
    assert_eq!(
        api.refund("r1", &refund_of("k1", 1251)).await?.error()?,
        "422 refund_exceeds_charge"
    );
    assert_eq!(api.refund("r1", &refund_of("k1", 1000)).await?.status, 200);
    assert_eq!(
        api.refund("r2", &refund_of("k1", 251)).await?.error()?,
        "422 refund_exceeds_charge"
    );
    assert_eq!(api.refund("r2", &refund_of("k1", 250)).await?.status, 200);
    assert_eq!(
        api.refund("r3", &refund_of("k1", 1)).await?.error()?,
        "422 refund_exceeds_charge"
    );
    assert_eq!(api.ledger().await?, ["charge k1", "refund r1", "refund r2"]);
    Ok(())
}
