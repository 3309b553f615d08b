use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    counts::{Comparison, TOLERANCE, rounded},
    measure::Figures,
};

/// The engine has to reach this part of the bare throughput, from [`RATIO_FROM`] sagas in flight.
const LEAST_RATIO: f64 = 0.75;
const RATIO_FROM: usize = 16;
/// The most CPU seconds per 1,000 sagas of server and workers, at the highest concurrency.
const MOST_CPU: f64 = 0.55;
/// If the bare side uses more than this there, it is no yardstick.
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
    pub(super) apart: Option<serde_json::Value>,
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
    /// The engine's sagas per second over the bare ones.
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
                 refused appends and reads are compared in their sum, for chance decides who loses a race"
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

impl Level {
    pub(super) fn new(concurrency: usize, engine: Figures, bare: Figures, operations: Comparison) -> Self {
        let ratio = rounded(engine.sagas_per_second / bare.sagas_per_second);
        Self {
            concurrency,
            engine,
            bare,
            ratio,
            operations,
        }
    }
}

impl Report {
    /// Looks for what is not as it has to be.
    pub(super) fn judge(&mut self) {
        let lists = self
            .operations
            .iter()
            .map(|(kind, list)| ((*kind).to_owned(), list));
        let mixed = self
            .levels
            .iter()
            .map(|level| (format!("concurrency {}", level.concurrency), &level.operations));
        let mut failures: Vec<String> = lists
            .chain(mixed)
            .flat_map(|(what, list)| {
                list.differences
                    .iter()
                    .map(move |d| format!("operations, {what}: {d}"))
            })
            .collect();
        for level in self.levels.iter().filter(|level| level.concurrency >= RATIO_FROM) {
            if level.ratio < LEAST_RATIO {
                failures.push(format!(
                    "concurrency {}: the engine reaches {} of the bare throughput, not {LEAST_RATIO}",
                    level.concurrency, level.ratio
                ));
            }
        }
        if let Some(level) = self.levels.iter().max_by_key(|level| level.concurrency) {
            let (engine, bare) = (
                level.engine.cpu_of_server_and_workers,
                level.bare.cpu_of_server_and_workers,
            );
            if engine > MOST_CPU {
                failures.push(format!(
                    "server and workers use {engine} CPU seconds per 1,000 sagas, not {MOST_CPU}"
                ));
            }
            if bare > MOST_BARE_CPU {
                failures.push(format!(
                    "the bare side uses {bare} CPU seconds per 1,000 sagas: it is no yardstick"
                ));
            }
        }
        self.failures = failures;
    }
}
