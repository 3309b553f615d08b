use std::{collections::BTreeMap, fmt::Write as _};

use checkout::books::Counts;
use serde::Serialize;

use super::{history::Outcome, kind::Kind, latency::Latency};

/// What a run showed: `run.json`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What chance started from.
    pub seed: u64,
    /// How long orders were placed, in seconds.
    pub seconds: u64,
    /// Orders a second.
    pub rate: u32,
    /// Orders placed, healthy or not.
    pub orders: usize,
    /// Sagas that were completed.
    pub completed: usize,
    /// Sagas that were cancelled.
    pub cancelled: usize,
    /// Requests, by what their writers learnt.
    pub(super) answers: BTreeMap<Outcome, usize>,
    /// Faults that were done and healed.
    pub faults: usize,
    /// Each kind: how often, and what healthy orders took that were under way meanwhile.
    pub kinds: BTreeMap<Kind, ByKind>,
    /// Healthy orders in the quiet time.
    pub quiet: Latency,
    /// Healthy orders after it.
    pub under_faults: Latency,
    /// The longest that the journal stood still after its leader was killed, in milliseconds.
    pub longest_pause_ms: u64,
    /// From the last fault healed and the last order answered until nothing was left to do, in milliseconds.
    pub drain_ms: Option<u64>,
    /// How much the books compared, if the run came to its end.
    pub counts: Option<Counts>,
    /// Every sentence that should hold and does not.
    pub violations: Vec<String>,
}

/// What one kind of fault did.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ByKind {
    /// How often it was done.
    pub count: usize,
    /// Healthy orders that were under way while it lasted.
    pub latency: Latency,
}

impl Report {
    /// The report for a person.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.rows() {
            let _ = writeln!(text, "{name:<28} {value}"); // a string takes every line
        }
        for violation in self.violations.iter().take(20) {
            let _ = writeln!(text, "  {violation}");
        }
        text
    }

    fn rows(&self) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
        row("seed", self.seed.to_string());
        let (orders, seconds, rate) = (self.orders, self.seconds, self.rate);
        row("orders", format!("{orders} in {seconds} s, {rate} a second"));
        let (completed, cancelled) = (self.completed, self.cancelled);
        row("sagas", format!("{completed} completed, {cancelled} cancelled"));
        let answers = self.answers.iter();
        let answers = answers.map(|(outcome, n)| format!("{n} {outcome:?}").to_lowercase());
        row("requests", answers.collect::<Vec<_>>().join(", "));
        row("faults", self.faults.to_string());
        for (kind, by) in &self.kinds {
            row(
                &format!("  {kind}"),
                format!("{:>4}   {}", by.count, by.latency.row()),
            );
        }
        row("healthy orders, quiet", self.quiet.row());
        row("healthy orders, faults", self.under_faults.row());
        if let Some(burst) = self.kinds.get(&Kind::PoisonBurst) {
            let (during, quiet) = (burst.latency.p99, self.quiet.p99);
            row("poison burst, p99", format!("{during} ms, quiet {quiet} ms"));
        }
        row(
            "longest pause, leader killed",
            format!("{} ms", self.longest_pause_ms),
        );
        let drained = self
            .drain_ms
            .map_or_else(|| "never".to_owned(), |ms| format!("{ms} ms"));
        row("time to drain after healing", drained);
        if let Some(Counts {
            events,
            entries,
            letters,
            ..
        }) = self.counts
        {
            row(
                "compared",
                format!("{events} events, {entries} ledger entries, {letters} dead letters"),
            );
        }
        row("violations", self.violations.len().to_string());
        rows
    }
}

impl Latency {
    fn row(&self) -> String {
        format!(
            "p50 {:>6}  p95 {:>6}  p99 {:>6}  worst {:>6} ms  ({} orders)",
            self.p50, self.p95, self.p99, self.worst, self.orders
        )
    }
}
