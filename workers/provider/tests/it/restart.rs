use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use tokio::net::TcpListener;

use crate::harness::{Provider, Reply, order, refund_of};

fn append(text: &'static str) -> impl FnOnce(&PathBuf) -> Result<()> {
    move |ledger| {
        Ok(OpenOptions::new()
            .append(true)
            .open(ledger)?
            .write_all(text.as_bytes())?)
    }
}

#[tokio::test]
async fn a_restart_remembers_every_outcome() -> Result<()> {
    let provider = Provider::start_with(|config| config.fsync = true).await?;
    let api = &provider.api;
    let charge = api.charge("k1", &order("ORD-1")).await?;
    let decline = api.simulate("decline", "k2", &order("ORD-2")).await?;
    let refund = api.refund("r1", &refund_of("k1", 1000)).await?;
    api.settle("k3").await?;
    let (totals, text) = (api.get("/v1/totals").await?, provider.ledger_text()?);

    let provider = provider.restart().await?;
    let api = &provider.api;
    assert_eq!(api.get("/v1/totals").await?, totals);
    assert_eq!(api.get("/v1/ledger").await?.body, text);
    assert_eq!(
        api.charge("k1", &order("ORD-1")).await?,
        Reply {
            replayed: true,
            ..charge
        }
    );
    assert_eq!(
        api.charge("k2", &order("ORD-2")).await?,
        Reply {
            replayed: true,
            ..decline
        }
    );
    assert_eq!(
        api.refund("r1", &refund_of("k1", 1000)).await?,
        Reply {
            replayed: true,
            ..refund
        }
    );
    assert_eq!(
        api.charge("k3", &order("ORD-3")).await?.error()?,
        "409 key_forbidden"
    );
    assert_eq!(
        api.charge("k1", &order("ORD-9")).await?.error()?,
        "422 idempotency_key_reuse"
    );
    assert_eq!(
        api.refund("r2", &refund_of("k1", 251)).await?.error()?,
        "422 refund_exceeds_charge"
    );
    assert_eq!(provider.ledger_text()?, text);
    Ok(())
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off() -> Result<()> {
    let provider = Provider::start().await?;
    provider.api.charge("k1", &order("ORD-1")).await?;
    let text = provider.ledger_text()?;

    let provider = provider
        .restart_with(append(r#"{"seq":2,"at":1,"kind":"cha"#))
        .await?;
    assert_eq!(provider.api.ledger().await?, ["charge k1"]);
    assert_eq!(provider.ledger_text()?, text);
    provider.api.charge("k2", &order("ORD-2")).await?;
    let provider = provider.restart().await?;
    assert_eq!(provider.api.ledger().await?, ["charge k1", "charge k2"]);
    Ok(())
}

#[tokio::test]
async fn any_other_corrupt_line_stops_the_start_with_its_number() -> Result<()> {
    for (line, wrong) in [
        ("{\"seq\":2,\"at\":1,\"kind\":\"cha\n", "line 2: not an entry"),
        ("\n", "line 2: not an entry"),
        (
            "{\"seq\":2,\"at\":1,\"kind\":\"gift\",\"key\":\"k2\"}\n",
            "line 2: not an entry",
        ),
        (
            "{\"seq\":2,\"at\":1,\"kind\":\"forbid\",\"key\":\"k 2\"}\n",
            "line 2: not an entry",
        ),
        (
            "{\"seq\":3,\"at\":1,\"kind\":\"forbid\",\"key\":\"k2\"}\n",
            "line 2: seq is 3: expected 2",
        ),
        (
            "{\"seq\":2,\"at\":1,\"kind\":\"forbid\",\"key\":\"k1\"}\n",
            "line 2: key k1 has an outcome already",
        ),
    ] {
        let provider = Provider::start().await?;
        provider.api.charge("k1", &order("ORD-1")).await?;
        let error = provider.restart_with(append(line)).await?.error().await?;
        assert!(
            error.contains("ledger.jsonl, ") && error.contains(wrong),
            "{line:?}: {error}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_ledger_has_one_process() -> Result<()> {
    let provider = Provider::start().await?;
    provider.api.get("/livez").await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let second = provider::serve(listener, provider.config.clone(), std::future::ready(())).await;
    let error = second.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(
        error.ends_with("ledger.jsonl is in use by another process"),
        "{error}"
    );
    Ok(())
}
