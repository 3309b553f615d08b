use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinHandle;

use crate::harness::{Api, Provider, Reply, order};

/// Sends a charge with a delay and returns once it is in flight.
async fn fly(api: &Api, ms: u32, key: &'static str) -> Result<JoinHandle<Result<Reply>>> {
    let sender = api.clone();
    let flying = tokio::spawn(async move {
        sender
            .simulate(&format!("delay_{ms}"), key, &order("ORD-1"))
            .await
    });
    api.wait_for(key, "in_flight").await?;
    Ok(flying)
}

#[tokio::test]
async fn a_request_waits_for_the_one_in_flight_and_replays_it() -> Result<()> {
    let provider = Provider::start().await?;
    let first = fly(&provider.api, 300, "k1").await?;
    let second = provider.api.charge("k1", &order("ORD-1")).await?;
    let other = provider.api.charge("k1", &order("ORD-2")).await?;
    assert_eq!(
        second,
        Reply {
            replayed: true,
            ..first.await??
        }
    );
    assert_eq!(other.error()?, "422 idempotency_key_reuse");
    Ok(())
}

#[tokio::test]
async fn waiting_for_a_request_in_flight_has_a_bound() -> Result<()> {
    let bounds = |config: &mut provider::Config| config.patience = Duration::from_millis(20);
    let provider = Provider::start_with(bounds).await?;
    let first = fly(&provider.api, 3000, "k1").await?;
    assert_eq!(
        provider.api.charge("k1", &order("ORD-1")).await?.error()?,
        "409 key_in_flight"
    );
    assert_eq!(first.await??.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_client_which_goes_away_does_not_stop_its_charge() -> Result<()> {
    let provider = Provider::start().await?;
    let client = Api::new(&provider.api.base_url())?;
    let flying = fly(&client, 1000, "k1").await?;
    flying.abort();
    assert!(flying.await.is_err_and(|error| error.is_cancelled()));
    drop(client);
    provider.api.wait_for("k1", "succeeded").await?;
    assert_eq!(provider.api.ledger().await?, ["charge k1"]);
    Ok(())
}

#[tokio::test]
async fn a_shutdown_lets_requests_in_flight_finish() -> Result<()> {
    let mut provider = Provider::start().await?;
    let flying = fly(&provider.api, 500, "k1").await?;
    let abandoned = fly(&provider.api, 1500, "k2").await?;
    abandoned.abort();
    provider.signal();
    assert_eq!(flying.await??.status, 200);
    let ledger = provider.config.ledger.clone();
    let _dir = provider.ended().await?;
    assert_eq!(std::fs::read_to_string(ledger)?.lines().count(), 2);
    Ok(())
}

#[tokio::test]
async fn a_shutdown_does_not_wait_longer_than_the_drain() -> Result<()> {
    let bounds = |config: &mut provider::Config| config.drain = Duration::from_millis(50);
    let provider = Provider::start_with(bounds).await?;
    let flying = fly(&provider.api, 3000, "k1").await?;
    let provider = provider.restart().await?;
    assert_eq!(provider.api.look_up("k1").await?.error()?, "404 no_such_key");
    assert_eq!(flying.await??.error()?, "503 shutting_down");
    assert_eq!(provider.ledger_text()?, "");
    Ok(())
}
