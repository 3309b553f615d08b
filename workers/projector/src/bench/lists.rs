use std::time::{Duration, Instant};

use anyhow::Context as _;
use fastrand::Rng;
use jetsaga::{Timestamp, Token};
use projection::Store;
use readmodel::{Direction, OrderFilter, PageRequest, ReadModel, Status};
use serde::Serialize;

use super::{BenchArgs, Latency, Stories, latency::rounded};

/// Lists of many orders.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lists {
    /// Orders in the read model.
    pub orders: u64,
    /// Events that they came from.
    pub events: u64,
    /// Events applied a second while it was filled, the making of the events included.
    pub applied_per_second: f64,
    /// The worst p99 of all lists, in milliseconds.
    pub worst_p99_ms: f64,
    /// Each kind of list.
    pub kinds: Vec<ListLatency>,
}

/// One kind of list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListLatency {
    /// Which filters are set.
    pub filter: &'static str,
    /// In which order.
    pub order: &'static str,
    /// The first page, or one that a cursor in the middle leads to.
    pub page: &'static str,
    /// How long it takes, 50 rows a page.
    #[serde(flatten)]
    pub latency: Latency,
}

/// Orders that are under way at once.
const AT_ONCE: u64 = 1_000;
/// How far apart events are: a million orders fill a month.
const APART: Duration = Duration::from_millis(500);

pub(super) async fn measure(url: &str, args: &BenchArgs) -> anyhow::Result<Lists> {
    let store = crate::open(url).await?;
    let begun = Instant::now();
    let events = fill(&store, args.orders).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let kinds = ask(&ReadModel::over(store), args, events).await?;
    #[expect(clippy::cast_precision_loss, reason = "a rate has no use for its last digits")]
    let applied_per_second = (events as f64 / seconds).round();
    Ok(Lists {
        orders: args.orders,
        events,
        applied_per_second,
        worst_p99_ms: rounded(kinds.iter().map(|kind| kind.latency.p99_ms).fold(0.0, f64::max)),
        kinds,
    })
}

fn began() -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs(1_790_000_000))
}

async fn fill(store: &Store, orders: u64) -> anyhow::Result<u64> {
    let mut stories = Stories::new(42, 100_000)?;
    let (mut placed, mut sequence, mut time) = (0, 0, began());
    while placed < orders {
        let count = AT_ONCE.min(orders - placed);
        let mut heard = Vec::new();
        for told in stories.orders(count)? {
            sequence += 1;
            time = time.after(APART);
            heard.push(told.heard(sequence, time));
        }
        anyhow::ensure!(store.apply(heard).await?, "somebody else writes to the database");
        placed += count;
    }
    Ok(sequence)
}

async fn ask(model: &ReadModel, args: &BenchArgs, events: u64) -> anyhow::Result<Vec<ListLatency>> {
    let mut rng = Rng::with_seed(1);
    let mut kinds = Vec::new();
    for filter in FILTERS {
        for (order, word) in [
            (Direction::Newest, "newest first"),
            (Direction::Oldest, "oldest first"),
        ] {
            for page in ["first", "deep"] {
                let mut times = Vec::new();
                for _ in 0..args.queries {
                    let mut asked = PageRequest {
                        order,
                        ..PageRequest::default()
                    };
                    let wanted = filtered(filter, &mut rng, events)?;
                    if page == "deep" {
                        asked.cursor = middle(model, &wanted, order, &mut rng, events).await?;
                    }
                    let begun = Instant::now();
                    model.orders(&wanted, &asked).await?;
                    times.push(begun.elapsed());
                }
                let latency = Latency::of(times);
                kinds.push(ListLatency {
                    filter,
                    order: word,
                    page,
                    latency,
                });
            }
        }
    }
    Ok(kinds)
}

const FILTERS: [&str; 8] = [
    "none",
    "status",
    "customer",
    "status, customer",
    "time",
    "status, time",
    "customer, time",
    "status, customer, time",
];

/// A filter of this kind. Half of the customers are among those who order most.
fn filtered(kind: &str, rng: &mut Rng, events: u64) -> anyhow::Result<OrderFilter> {
    let mut filter = OrderFilter::default();
    if kind.contains("status") {
        filter.status = rng.choice(Status::ALL);
    }
    if kind.contains("customer") {
        let number = if rng.bool() {
            rng.u32(..100)
        } else {
            rng.u32(..100_000)
        };
        filter.customer = Some(Token::new(&format!("CUST-{number}"))?);
    }
    if kind.contains("time") {
        let (one, two) = (somewhen(rng, events), somewhen(rng, events));
        (filter.from, filter.to) = (Some(one.min(two)), Some(one.max(two)));
    }
    Ok(filter)
}

fn somewhen(rng: &mut Rng, events: u64) -> Timestamp {
    let event = u32::try_from(rng.u64(..events.max(1))).unwrap_or(u32::MAX);
    began().after(APART * event)
}

/// The cursor of a page somewhere in the list; none if there is nothing.
async fn middle(
    model: &ReadModel,
    filter: &OrderFilter,
    order: Direction,
    rng: &mut Rng,
    events: u64,
) -> anyhow::Result<Option<readmodel::Cursor>> {
    let at = somewhen(rng, events);
    let mut near = filter.clone();
    match order {
        Direction::Newest => near.to = Some(near.to.map_or(at, |to| to.min(at))),
        Direction::Oldest => near.from = Some(near.from.map_or(at, |from| from.max(at))),
    }
    let page = PageRequest {
        cursor: None,
        limit: 1,
        order,
    };
    Ok(model
        .orders(&near, &page)
        .await
        .context("a page in the middle")?
        .next)
}
