//! The numbers that an autoscaler would scale by, as its own reading of the monitoring port gives them.

use jetsaga::anyhow::{Context as _, Result, ensure};
use jetsaga_tests::harness::{Cluster, Keda, Process, Role, Shape, System, audit, jetsaga, order, until};
use serde_json::json;

/// How many orders wait.
const WAITING: u64 = 40;
/// How many come while others are put off.
const MORE: u64 = 10;

/// What the scaler reads of these consumers comes to these numbers.
async fn shows(keda: &Keda, wanted: &[(&str, &str, u64)]) -> Result<()> {
    for (stream, consumer, wanted) in wanted {
        let mut read = 0;
        let what = format!("{consumer} on {stream} is behind by {wanted}");
        let shown = until(&what, async || {
            read = keda.lag(stream, consumer).await?;
            Ok((read == *wanted).then_some(()))
        });
        shown.await.with_context(|| format!("it is behind by {read}"))?;
    }
    Ok(())
}

/// What a worker exports of a consumer, waiting and handed out together.
async fn exported(probes: &str, stream: &str, consumer: &str) -> Result<Option<u64>> {
    let text = reqwest::get(format!("{probes}/metrics")).await?.text().await?;
    let read = |name: &str| {
        let labels = format!("jetsaga_consumer_{name}{{consumer=\"{consumer}\",stream=\"{stream}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&labels));
        value.and_then(|value| value.parse::<u64>().ok())
    };
    Ok(read("pending").zip(read("unacknowledged")).map(|(a, b)| a + b))
}

async fn until_exported(probes: &str, stream: &str, consumer: &str, wanted: u64) -> Result<()> {
    until(&format!("{consumer} on {stream} exports {wanted}"), async || {
        let read = exported(probes, stream, consumer).await?;
        Ok(read.filter(|read| *read == wanted).map(drop))
    })
    .await
}

/// Orders that wait in the inbox, then for their steps, then for their retries; then none.
async fn the_backlog_is_known(system: &System<Cluster>) -> Result<()> {
    system.provision(&Role::CHECKOUT).await?;
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 1_000).await?;
    }
    let monitors = system.server.monitors();
    let keda = Keda::new(*monitors.first().context("no monitor")?)?;
    let mut ids: Vec<_> = (0..WAITING).map(|n| format!("ORD-{n}")).collect();
    for id in &ids {
        system.place(&order(id)).await?;
    }
    shows(
        &keda,
        &[
            ("INBOX", "checkout-owner", WAITING),
            ("EVENTS", "checkout-payment", 0),
        ],
    )
    .await?;
    // Nobody made this one: the scaler takes the stream's length for its lag.
    let length = system
        .js
        .get_stream("INBOX")
        .await?
        .cached_info()
        .state
        .last_sequence;
    shows(&keda, &[("INBOX", "no-such-consumer", length)]).await?;

    let _order = system.start(Role::Order).await?;
    shows(
        &keda,
        &[
            ("INBOX", "checkout-owner", 0),
            ("EVENTS", "checkout-owner", 0),
            ("EVENTS", "checkout-payment", WAITING),
            ("EVENTS", "checkout-inventory", WAITING),
            ("EVENTS", "checkout-shipping", 0),
        ],
    )
    .await?;

    // Every charge fails until its next attempt is one that the server keeps.
    system.provider.failures(json!({"error_rate": 1})).await?;
    let payment = system.start(Role::Payment).await?;
    shows(&keda, &[("EVENTS", "checkout-payment", 0)]).await?;
    payment.stop().await?;
    for n in WAITING..WAITING + MORE {
        let id = format!("ORD-{n}");
        system.place(&order(&id)).await?;
        ids.push(id);
    }
    let behind = [
        ("RETRY", "checkout-payment", WAITING),
        ("EVENTS", "checkout-payment", MORE),
    ];
    shows(&keda, &behind).await?;

    // A worker whose provider does not answer finishes nothing: its own numbers are the scaler's.
    system
        .provider
        .failures(json!({"error_rate": 0, "delay_ms": 7_000}))
        .await?;
    let mut command = system.as_process(Role::Payment, jetsaga()?);
    command.args(["--http-listen", "127.0.0.1:0", "--concurrency", "8"]);
    let process = Process::start(&mut command)?;
    let probes = format!(
        "http://{}",
        process.until_said("probes are served address=").await?
    );
    for (stream, consumer, wanted) in behind {
        until_exported(&probes, stream, consumer, wanted).await?;
        ensure!(keda.lag(stream, consumer).await? == wanted, "{stream} {consumer}");
    }

    system.provider.failures(json!({"delay_ms": 0})).await?;
    let _others = system.start_all(&[Role::Inventory, Role::Shipping]).await?;
    for id in &ids {
        system.until_final(id).await?;
    }
    for step in ["payment", "inventory", "shipping", "owner"] {
        let consumer = format!("checkout-{step}");
        shows(&keda, &[("EVENTS", &consumer, 0), ("RETRY", &consumer, 0)]).await?;
    }
    shows(&keda, &[("INBOX", "checkout-owner", 0)]).await?;
    for stream in ["EVENTS", "RETRY"] {
        until_exported(&probes, stream, "checkout-payment", 0).await?;
    }
    ensure!(audit(system, &ids).await? == ids.len(), "all are completed");
    Ok(())
}

#[tokio::test]
async fn a_scaler_reads_the_backlog_from_one_server() {
    let system = System::on(Shape::Alone).await.unwrap();
    the_backlog_is_known(&system).await.unwrap();
}

/// Each server knows only what it leads: the scaler has to find the consumer's leader.
#[tokio::test]
async fn a_scaler_reads_the_backlog_from_the_leader_in_a_cluster() {
    let system = System::on(Shape::Three).await.unwrap();
    the_backlog_is_known(&system).await.unwrap();
}
