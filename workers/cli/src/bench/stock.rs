use std::time::Duration;

use checkout::stock::{Items, Operation, Outcome};
use inventory::Shelf;
use jetsaga::{Journal, Token};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    counts::rounded,
    site::{Side, Site, plan},
};
use crate::{output::progress, seed::seed};

/// What a product has had before it is measured.
const FEW: u64 = 100;
const MANY: u64 = 100_000;
/// Reservations that are timed on each, by turns.
const TIMED: u64 = 1_000;
/// How far the costs may lie apart.
const TOLERANCE: f64 = 0.2;

/// What a product costs as its history grows: medians, in milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stock {
    /// After 100 reservations.
    after_few: Cost,
    /// After 100,000.
    after_many: Cost,
    /// The second over the first.
    ratio: Cost,
    failures: Vec<String>,
}

/// Medians in milliseconds, or a ratio of such.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    /// A whole reservation: loads, guarded appends, the reservation's own event.
    reserve: f64,
    /// A load of the product alone, from the stream leader.
    load: f64,
}

/// Reserves one piece at a time, first to give both products their history, then to time them by turns.
pub(super) async fn measure() -> anyhow::Result<Stock> {
    let site = Site::without_workers(Side::Engine, &plan()?).await?;
    let shelf = Shelf::new(Journal::new(&site.nats));
    let (few, many) = (
        Reserve::new(&shelf, "FEW").await?,
        Reserve::new(&shelf, "MANY").await?,
    );
    let bar = progress(FEW + MANY + 2 * TIMED, "reserving");
    for (product, times) in [(&few, FEW), (&many, MANY)] {
        for n in 0..times {
            product.reserve(n).await?;
            bar.inc(1);
        }
    }
    let (mut on_few, mut on_many) = (Times::default(), Times::default());
    for n in 0..TIMED {
        few.time(FEW + n, &mut on_few).await?;
        many.time(MANY + n, &mut on_many).await?;
        bar.inc(2);
    }
    bar.finish_and_clear();
    let (after_few, after_many) = (on_few.medians(), on_many.medians());
    Ok(Stock {
        after_few,
        after_many,
        ratio: Cost {
            reserve: rounded(after_many.reserve / after_few.reserve),
            load: rounded(after_many.load / after_few.load),
        },
        failures: Vec::new(),
    })
}

/// One product, reserved piece by piece.
struct Reserve<'a> {
    shelf: &'a Shelf,
    sku: Token,
}

#[derive(Default)]
struct Times {
    reserve: Vec<Duration>,
    load: Vec<Duration>,
}

impl<'a> Reserve<'a> {
    async fn new(shelf: &'a Shelf, name: &str) -> anyhow::Result<Self> {
        let sku = Token::new(name)?;
        seed(shelf, &sku, i64::try_from(2 * MANY)?).await?;
        Ok(Self { shelf, sku })
    }

    async fn reserve(&self, n: u64) -> anyhow::Result<()> {
        let order = Token::new(&format!("{}-{n}", self.sku))?;
        match self
            .shelf
            .carry_out(Operation::reserve(order, one(&self.sku)?))
            .await?
        {
            Outcome::Held => Ok(()),
            other => anyhow::bail!("reservation {n} of {} ended {other:?}", self.sku),
        }
    }

    async fn time(&self, n: u64, times: &mut Times) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.reserve(n).await?;
        times.reserve.push(begun.elapsed());
        let begun = Instant::now();
        self.shelf.product(&self.sku).await?;
        times.load.push(begun.elapsed());
        Ok(())
    }
}

/// One piece of a product.
fn one(sku: &Token) -> anyhow::Result<Items> {
    let item = checkout::Item {
        product_id: sku.clone(),
        quantity: 1,
        unit_price: None,
    };
    Ok(Items::merge([&item])?)
}

impl Times {
    fn medians(self) -> Cost {
        let median = |mut times: Vec<Duration>| {
            times.sort_unstable();
            let middle = times.get(times.len() / 2).copied().unwrap_or_default();
            rounded(middle.as_secs_f64() * 1000.0)
        };
        Cost {
            reserve: median(self.reserve),
            load: median(self.load),
        }
    }
}

impl Stock {
    /// The document, and what is not as it has to be.
    pub(super) fn judged(mut self) -> anyhow::Result<(String, Vec<String>)> {
        for (what, ratio) in [("a reservation", self.ratio.reserve), ("a load", self.ratio.load)] {
            if (ratio - 1.0).abs() > TOLERANCE {
                let cost =
                    format!("{what} costs {ratio} times as much after {MANY} reservations as after {FEW}");
                self.failures.push(cost);
            }
        }
        Ok((serde_json::to_string_pretty(&self)?, self.failures))
    }
}
