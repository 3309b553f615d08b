use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::{
    counts::rounded,
    measure::{Bench, Sum},
    orders::Mix,
    site::{Role, Side},
};
use crate::output::progress;

/// The most that a worker may hold, in MiB.
const MOST_MIB: f64 = 40.0;
/// The most that it may grow after the first minute.
const MOST_GROWTH: f64 = 0.05;
/// Sagas a second: enough to find a leak, and few enough to keep the journal small.
const PACE: u64 = 500;

/// What the processes hold under load, in MiB.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Memory {
    minutes: u64,
    sagas: u64,
    after_the_first_minute: BTreeMap<&'static str, f64>,
    at_the_end: BTreeMap<&'static str, f64>,
    /// Of each worker, from the first minute to the end: 0.05 is five percent.
    growth: BTreeMap<&'static str, f64>,
    failures: Vec<String>,
}

/// Keeps the engine's workers at work for `minutes`, 500 sagas a second, 64 at once.
pub(super) async fn measure(minutes: u64) -> anyhow::Result<Memory> {
    let mut bench = Bench::open(Side::Engine, &[]).await?;
    let begun = Instant::now();
    let bar = progress(minutes * 60, "seconds");
    let (mut sagas, mut first) = (0, None);
    for second in 0..minutes * 60 {
        if second == 60 {
            first = Some(bench.resident()?);
        }
        bench.run(PACE, 64, Mix::Tenth, &mut Sum::default()).await?;
        sagas += PACE;
        bar.inc(1);
        sleep_until(begun + Duration::from_secs(second + 1)).await;
    }
    bar.finish_and_clear();
    let at_the_end = bench.resident()?;
    let first = first.unwrap_or_else(|| at_the_end.clone());
    let growth = Role::ALL.into_iter().filter_map(|role| {
        let (before, after) = (first.get(role.word())?, at_the_end.get(role.word())?);
        Some((role.word(), rounded(after / before - 1.0)))
    });
    Ok(Memory {
        minutes,
        sagas,
        growth: growth.collect(),
        after_the_first_minute: first,
        at_the_end,
        failures: Vec::new(),
    })
}

impl Memory {
    /// The document, and what is not as it has to be.
    pub(super) fn judged(mut self) -> anyhow::Result<(String, Vec<String>)> {
        for (role, growth) in &self.growth {
            let holds = self.at_the_end.get(role).copied().unwrap_or_default();
            if holds > MOST_MIB {
                self.failures
                    .push(format!("{role} holds {holds} MiB, more than {MOST_MIB}"));
            }
            if *growth > MOST_GROWTH {
                self.failures.push(format!(
                    "{role} grew by {growth} after the first minute, more than {MOST_GROWTH}"
                ));
            }
        }
        Ok((serde_json::to_string_pretty(&self)?, self.failures))
    }
}
