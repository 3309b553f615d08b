use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use serde::Serialize;
use tokio::net::TcpListener;

use super::{
    measure::{Bench, Figures, Sum},
    orders::Mix,
    site::Side,
};
use crate::output::progress;

/// Sagas in flight.
const CONCURRENCY: usize = 64;
/// All run by turns, so many times.
const ROUNDS: u64 = 20;
/// Which share of traces is kept, and which part of the speed without traces has to be left.
const SHARES: [(f64, f64); 2] = [(0.01, 0.95), (1.0, 0.75)];

/// What traces cost.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tracing {
    without: Figures,
    with: Vec<Traced>,
    failures: Vec<String>,
}

/// One share of traces that is kept.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Traced {
    share: f64,
    /// Its sagas per second over those without: the median of the runs, pair by pair.
    ratio: f64,
    least_ratio: f64,
    figures: Figures,
    /// What the receiver got, in MiB.
    received_mib: f64,
    /// Spans that found no place in a worker's queue.
    dropped: u64,
}

/// Runs `sagas` sagas without traces and with each share, by turns. The receiver is in this process; it takes all that
/// comes, and does nothing with it.
pub(super) async fn measure(sagas: u64) -> anyhow::Result<Tracing> {
    let mut without = Bench::open(Side::Engine, &[]).await?;
    let mut sum = Sum::default();
    let mut sides = Vec::new();
    for (share, least_ratio) in SHARES {
        let receiver = Receiver::start().await?;
        let flags = ["--otlp-endpoint", &receiver.url, "--otlp-metrics", "none"];
        let mut bench = Bench::open(Side::Engine, &flags).await?;
        bench.sample(share);
        sides.push((share, least_ratio, bench, receiver, Sum::default()));
    }
    let each = sagas / ROUNDS / 10 * 10;
    for bench in std::iter::once(&mut without).chain(sides.iter_mut().map(|side| &mut side.2)) {
        bench
            .run(each, CONCURRENCY, Mix::Tenth, &mut Sum::default())
            .await?; // to warm it up
    }
    let bar = progress(ROUNDS * each * (1 + SHARES.len() as u64), "traces");
    for _ in 0..ROUNDS {
        without.run(each, CONCURRENCY, Mix::Tenth, &mut sum).await?;
        bar.inc(each);
        for (_, _, bench, _, sum) in &mut sides {
            bench.run(each, CONCURRENCY, Mix::Tenth, sum).await?;
            bar.inc(each);
        }
    }
    bar.finish_and_clear();
    let mut with = Vec::new();
    for (share, least_ratio, bench, receiver, traced) in sides {
        with.push(Traced {
            share,
            ratio: traced.ratio(&sum),
            least_ratio,
            figures: traced.figures()?,
            received_mib: (receiver.received.load(Relaxed) as f64 / 1024.0 / 1024.0 * 10.0).round() / 10.0,
            dropped: bench.site.counted("jetsaga_spans_dropped_total").await?,
        });
    }
    Ok(Tracing {
        without: sum.figures()?,
        with,
        failures: Vec::new(),
    })
}

/// Takes whatever is sent by OTLP.
struct Receiver {
    url: String,
    received: Arc<AtomicU64>,
}

impl Receiver {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let received = Arc::new(AtomicU64::new(0));
        let take = async |State(received): State<Arc<AtomicU64>>, body: Bytes| {
            received.fetch_add(body.len() as u64, Relaxed);
        };
        let app = Router::new()
            .route("/v1/traces", post(take))
            .with_state(received.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, received })
    }
}

impl Tracing {
    /// The document, and what is not as it has to be.
    pub(super) fn judged(mut self) -> anyhow::Result<(String, Vec<String>)> {
        for traced in &self.with {
            let Traced {
                share,
                ratio,
                least_ratio,
                received_mib,
                ..
            } = traced;
            if ratio < least_ratio {
                self.failures.push(format!(
                    "with {share} of traces kept the ratio is {ratio}, less than {least_ratio}"
                ));
            }
            if *received_mib == 0.0 {
                self.failures
                    .push(format!("with {share} of traces kept none was received"));
            }
        }
        Ok((serde_json::to_string_pretty(&self)?, self.failures))
    }
}
