use std::time::Duration;

use serde::Serialize;

use super::verdict::Verdict;
use crate::output::human;

/// What was measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    /// From the publish of each order to its end.
    pub(super) latencies: Vec<Duration>,
    /// Orders without an end at each kill.
    pub(super) under_way: Vec<usize>,
}

/// The result of a demonstration.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    seed: u64,
    seconds: f64,
    orders_per_second: f64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    kills: u32,
    /// The fewest orders without an end at any kill.
    least_under_way: usize,
    pub(super) verdict: Verdict,
}

impl Report {
    pub(super) fn summary(mut self, seed: u64, elapsed: Duration, kills: u32, verdict: Verdict) -> Summary {
        self.latencies.sort_unstable();
        let at = |share: usize| {
            let place = (self.latencies.len() * share / 100).min(self.latencies.len().saturating_sub(1));
            self.latencies
                .get(place)
                .map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
        };
        let seconds = elapsed.as_secs_f64();
        Summary {
            seed,
            seconds,
            orders_per_second: self.latencies.len() as f64 / seconds,
            p50_ms: at(50),
            p95_ms: at(95),
            p99_ms: at(99),
            kills,
            least_under_way: self.under_way.iter().copied().min().unwrap_or(0),
            verdict,
        }
    }
}

impl Summary {
    pub(super) fn table(&self) -> String {
        let ms = |ms: f64| human(Duration::from_secs_f64(ms / 1000.0));
        let verdict = if self.verdict.holds() {
            "money, stock and one final state each: all hold".to_owned()
        } else {
            format!("VIOLATED\n  {}", self.verdict.violations.join("\n  "))
        };
        let rows = [
            ("completed", self.verdict.completed.to_string()),
            ("cancelled", self.verdict.cancelled.to_string()),
            ("refunded", self.verdict.refunded.to_string()),
            (
                "workers killed",
                format!(
                    "{} (at least {} orders under way each time)",
                    self.kills, self.least_under_way
                ),
            ),
            ("latency p50", ms(self.p50_ms)),
            ("latency p95", ms(self.p95_ms)),
            ("latency p99", ms(self.p99_ms)),
            ("orders per second", format!("{:.0}", self.orders_per_second)),
            ("verdict", verdict),
        ];
        rows.map(|(name, value)| format!("{name:<18} {value}")).join("\n")
    }
}
