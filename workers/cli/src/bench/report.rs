use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    apart::Apart,
    counts::{Comparison, RACES, TOLERANCE},
    measure::Figures,
};

/// The engine has to reach this part of the bare throughput, from [`RATIO_FROM`] sagas in flight.
const LEAST_RATIO: f64 = 0.75;
const RATIO_FROM: usize = 16;
/// The most CPU seconds per 1,000 sagas of server and workers, at the highest concurrency.
const MOST_CPU: f64 = 0.55;
/// If the bare side uses more than this there, the machine is slower or busier than the limit takes it to be: the run
/// is no yardstick and fails.
const MOST_BARE_CPU: f64 = 0.40;

/// All that was measured. It goes out as one JSON document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) about: About,
    /// What each role does for a saga, by how the saga ends.
    pub(super) operations: BTreeMap<&'static str, Comparison>,
    pub(super) levels: Vec<Level>,
    /// What the main measure leaves out, per 1,000 orders.
    pub(super) apart: Apart,
    /// What is not as it has to be; empty if all is well.
    pub(super) failures: Vec<String>,
}

/// What the numbers mean.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    server: String,
    cores: usize,
    durability: &'static str,
    cpu: &'static str,
    operations: String,
    limits: Limits,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    least_ratio: f64,
    ratio_from_concurrency: usize,
    most_cpu: f64,
    most_bare_cpu: f64,
}

/// One number of sagas in flight, both sides measured by turns.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Level {
    pub(super) concurrency: usize,
    pub(super) engine: Figures,
    pub(super) bare: Figures,
    /// The engine's sagas per second over the bare ones: the median of the runs, pair by pair.
    pub(super) ratio: f64,
    pub(super) operations: Comparison,
}

impl About {
    pub(super) fn new(server: String) -> Self {
        Self {
            server,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            durability: "process-crash safe: one node, default fsync",
            cpu: "CPU seconds per 1,000 sagas, user and system",
            operations: format!(
                "averages per saga; they agree if they differ by at most {TOLERANCE} or {TOLERANCE} of the larger one; \
                 refused appends and reads are compared in their sum, for chance decides who loses a race, and may \
                 differ by {RACES} more for each cancelled saga, for chance decides how often one races"
            ),
            limits: Limits {
                least_ratio: LEAST_RATIO,
                ratio_from_concurrency: RATIO_FROM,
                most_cpu: MOST_CPU,
                most_bare_cpu: MOST_BARE_CPU,
            },
        }
    }
}

impl Report {
    /// The document, and what is not as it has to be.
    pub(super) fn judged(mut self) -> anyhow::Result<(String, Vec<String>)> {
        self.failures = verdict(&self.operations, &self.levels);
        Ok((serde_json::to_string_pretty(&self)?, self.failures))
    }
}

/// What fails.
fn verdict(operations: &BTreeMap<&'static str, Comparison>, levels: &[Level]) -> Vec<String> {
    let mut failures = Vec::new();
    let pure = operations.iter().map(|(kind, list)| ((*kind).to_owned(), list));
    let mixed = levels
        .iter()
        .map(|level| (format!("concurrency {}", level.concurrency), &level.operations));
    for (what, list) in pure.chain(mixed) {
        failures.extend(
            list.differences
                .iter()
                .map(|differs| format!("operations, {what}: {differs}")),
        );
    }
    let slow = |level: &&Level| level.concurrency >= RATIO_FROM && level.ratio < LEAST_RATIO;
    for Level {
        concurrency, ratio, ..
    } in levels.iter().filter(slow)
    {
        failures.push(format!(
            "concurrency {concurrency}: the engine reaches {ratio} of the bare throughput, not {LEAST_RATIO}"
        ));
    }
    if let Some(level) = levels.iter().max_by_key(|level| level.concurrency) {
        let engine = level.engine.cpu_of_server_and_workers;
        let bare = level.bare.cpu_of_server_and_workers;
        let over = format!("server and workers use {engine} CPU seconds per 1,000 sagas, not {MOST_CPU}");
        if engine > MOST_CPU {
            failures.push(over);
        }
        if bare > MOST_BARE_CPU {
            failures.push(busy(bare));
        }
    }
    failures
}

/// The limit of CPU time means something only on a machine where the bare side keeps to its own.
fn busy(bare: f64) -> String {
    format!(
        "the bare side alone uses {bare}, more than {MOST_BARE_CPU}: the machine is slower or busier than the limits \
         take it to be"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::Latency;

    fn judged(ratio: f64, engine: f64, bare: f64) -> usize {
        let figures = |cpu| Figures {
            sagas: 10,
            cancelled: 1,
            sagas_per_second: 1.0,
            latency_ms: Latency {
                p50: 1.0,
                p95: 1.0,
                p99: 1.0,
            },
            cpu: BTreeMap::new(),
            cpu_of_server_and_workers: cpu,
            resident_mib: BTreeMap::new(),
        };
        let levels = [1, 256].map(|concurrency| Level {
            concurrency,
            engine: figures(engine),
            bare: figures(bare),
            ratio,
            operations: Comparison::new(BTreeMap::new(), BTreeMap::new(), 0.1),
        });
        verdict(&BTreeMap::new(), &levels).len()
    }

    #[test]
    fn the_limits_are_judged_where_they_mean_something() {
        assert_eq!(judged(0.75, 0.55, 0.40), 0);
        assert_eq!(judged(0.74, 0.55, 0.40), 1, "one at a time is not judged");
        assert_eq!(judged(0.80, 0.56, 0.40), 1);
        assert_eq!(judged(0.80, 0.50, 0.41), 1, "no yardstick");
        assert_eq!(judged(0.80, 0.56, 0.41), 2);
    }
}
