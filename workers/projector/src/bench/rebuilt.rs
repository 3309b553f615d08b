use std::time::{Duration, Instant};

use anyhow::Context as _;
use jetsaga::{
    Nats,
    engine::{JournalInfo, Service as _},
};
use projection::{Runner, Store};
use readmodel::{OrderFilter, PageRequest, ReadModel, Status};
use serde::Serialize;
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use super::{BenchArgs, Latency, Stories, latency::rounded};

/// A rebuild while the tables are read and written.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rebuilt {
    /// Which projection.
    pub projection: &'static str,
    /// Events in the journal when it began.
    pub events: u64,
    /// From the first event to the swap.
    pub seconds: f64,
    /// Events read and applied a second.
    pub events_per_second: f64,
    /// Events applied a second by all projections at once, before that.
    pub followed_per_second: f64,
    /// Lists of orders meanwhile, as many a second as are asked for here.
    pub reads: Latency,
    /// From the acknowledgement of an event to its being readable, meanwhile.
    pub writes_seen: Latency,
}

/// Orders that are published before their acknowledgements are waited for.
const AT_ONCE: u64 = 500;
/// The pause between two lists.
const READ_EVERY: Duration = Duration::from_millis(10);
/// The pause between two orders that come in.
const ORDER_EVERY: Duration = Duration::from_millis(50);

pub(super) async fn measure(nats: &Nats, url: &str, args: &BenchArgs) -> anyhow::Result<Rebuilt> {
    let mut stories = Stories::new(43, 100_000)?;
    let mut placed = 0;
    while placed < args.rebuilt_orders {
        let count = AT_ONCE.min(args.rebuilt_orders - placed);
        publish(nats, &mut stories, count).await?;
        placed += count;
    }
    let events = JournalInfo::read(nats).await?.last;
    let store = crate::open(url).await?;
    let (stop, stopped) = watch::channel(false);
    let begun = Instant::now();
    let runner = tokio::spawn(Runner::new(store.clone()).run(nats.clone(), stopped.clone()));
    let model = ReadModel::over(store.clone());
    model.reached(events, Duration::from_secs(3600)).await?;
    let followed = begun.elapsed();

    let reads: JoinHandle<_> = tokio::spawn(read_on(model.clone(), stopped.clone()));
    let writes = tokio::spawn(write_on(nats.clone(), stories, model, stopped));
    let (took, last) = rebuild(&store, nats).await?;
    stop.send_replace(true);
    runner.await??;
    Ok(Rebuilt {
        projection: "orders",
        events,
        seconds: rounded(took.as_secs_f64()),
        events_per_second: rate(last, took),
        followed_per_second: rate(events, followed),
        reads: reads.await??,
        writes_seen: writes.await??,
    })
}

async fn rebuild(store: &Store, nats: &Nats) -> anyhow::Result<(Duration, u64)> {
    let (begun, mut last) = (Instant::now(), 0);
    projection::rebuild(store, nats, "orders", |progress| last = progress.done).await?;
    Ok((begun.elapsed(), last))
}

/// Publishes the events of so many orders; returns the sequence of the last.
async fn publish(nats: &Nats, stories: &mut Stories, count: u64) -> anyhow::Result<u64> {
    let mut answers = Vec::new();
    for told in stories.orders(count)? {
        answers.push(
            nats.jetstream
                .publish(told.subject(), told.body()?.into())
                .await?,
        );
    }
    let mut last = 0;
    for answer in answers {
        last = answer.await?.sequence;
    }
    Ok(last)
}

async fn read_on(model: ReadModel, stopped: watch::Receiver<bool>) -> anyhow::Result<Latency> {
    let mut times = Vec::new();
    while !*stopped.borrow() {
        let status = Status::ALL.get(times.len() % 6).copied();
        let filter = OrderFilter {
            status,
            ..OrderFilter::default()
        };
        let begun = Instant::now();
        let page = model.orders(&filter, &PageRequest::default()).await?;
        times.push(begun.elapsed());
        anyhow::ensure!(
            status.is_some() || page.items.len() == 50,
            "the tables are not whole"
        );
        sleep(READ_EVERY).await;
    }
    Ok(Latency::of(times))
}

async fn write_on(
    nats: Nats,
    mut stories: Stories,
    model: ReadModel,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<Latency> {
    let mut times = Vec::new();
    while !*stopped.borrow() {
        let last = publish(&nats, &mut stories, 1).await?;
        let begun = Instant::now();
        match model.reached(last, Duration::from_secs(60)).await {
            Ok(()) => times.push(begun.elapsed()),
            Err(_) if *stopped.borrow() => break,
            Err(error) => return Err(error).context("an order that came in is not seen"),
        }
        sleep(ORDER_EVERY).await;
    }
    Ok(Latency::of(times))
}

fn rate(events: u64, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate has no use for its last digits")]
    let events = events as f64;
    (events / time.as_secs_f64()).round()
}
