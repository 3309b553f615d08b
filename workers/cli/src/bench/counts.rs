use std::{
    collections::BTreeMap,
    ops::{AddAssign, Sub},
};

use serde::{Deserialize, Serialize};

/// What one process did, by kind of operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) deliveries: u64,
    pub(super) acks: u64,
    pub(super) appends: u64,
    pub(super) refused: u64,
    pub(super) reads: u64,
    pub(super) leader_reads: u64,
}

/// The same for one saga, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PerSaga {
    /// Messages that consumers delivered.
    deliveries: f64,
    /// Acknowledgements.
    acks: f64,
    /// Appends that the journal took.
    appends: f64,
    /// Appends that it refused because the guard was stale.
    refused_appends: f64,
    /// Direct reads.
    reads: f64,
    /// Reads from the stream leader.
    leader_reads: f64,
}

/// How far two averages may lie apart: this much, or this part of the larger one.
pub(super) const TOLERANCE: f64 = 0.02;
/// How much farther refused appends and reads may, for each cancelled saga. There two deliveries of payment may race, for
/// the charge and for the refund: it has one to three of them, as chance will have it.
pub(super) const RACES: f64 = 0.3;

/// The lists of both sides, by role; and what differs, in words.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Comparison {
    pub(super) engine: BTreeMap<&'static str, PerSaga>,
    pub(super) bare: BTreeMap<&'static str, PerSaga>,
    pub(super) differences: Vec<String>,
}

impl Counts {
    /// The counters of an engine, from the text that it shows to Prometheus.
    pub(super) fn of_metrics(text: &str) -> Self {
        let mut counts = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let value: u64 = value.parse().unwrap_or(0); // what is no whole number is none of these
            match name.split('{').next().unwrap_or(name) {
                "jetsaga_deliveries_total" => counts.deliveries += value,
                "jetsaga_acknowledged_total" => counts.acks += value,
                "jetsaga_journal_appends_total" => counts.appends += value,
                "jetsaga_journal_conflicts_total" | "jetsaga_journal_collisions_total" => {
                    counts.refused += value;
                }
                "jetsaga_journal_reads_total" => counts.reads += value,
                "jetsaga_journal_leader_reads_total" => counts.leader_reads += value,
                _ => {}
            }
        }
        counts
    }

    /// This much for each of `sagas`.
    pub(super) fn per(self, sagas: u64) -> PerSaga {
        let per = |n: u64| rounded(n as f64 / sagas as f64);
        PerSaga {
            deliveries: per(self.deliveries),
            acks: per(self.acks),
            appends: per(self.appends),
            refused_appends: per(self.refused),
            reads: per(self.reads),
            leader_reads: per(self.leader_reads),
        }
    }
}

impl Comparison {
    /// Compares the lists of both sides. Deliveries, acknowledgements and appends have to agree for each role. Which
    /// of two workers loses a race is chance, so refused appends and reads have to agree in their sum, as far as the
    /// share of cancelled sagas lets them.
    pub(super) fn new(
        engine: BTreeMap<&'static str, PerSaga>,
        bare: BTreeMap<&'static str, PerSaga>,
        cancelled: f64,
    ) -> Self {
        let mut differences = Vec::new();
        let mut compare = |what: &str, engine: f64, bare: f64, chance: f64| {
            if (engine - bare).abs() > TOLERANCE.max(TOLERANCE * engine.max(bare)) + chance {
                differences.push(format!("{what}: engine {engine}, bare {bare}"));
            }
        };
        for (role, ours) in &engine {
            let theirs = bare.get(role).copied().unwrap_or_default();
            let mut same = |what, ours, theirs| compare(&format!("{role} {what}"), ours, theirs, 0.0);
            same("deliveries", ours.deliveries, theirs.deliveries);
            same("acks", ours.acks, theirs.acks);
            same("appends", ours.appends, theirs.appends);
        }
        let sum = |list: &BTreeMap<_, PerSaga>, of: fn(&PerSaga) -> f64| rounded(list.values().map(of).sum());
        let mut sums = |what, of| compare(what, sum(&engine, of), sum(&bare, of), RACES * cancelled);
        sums("refused appends", |list| list.refused_appends);
        sums("reads", |list| list.reads);
        sums("leader reads", |list| list.leader_reads);
        Self {
            engine,
            bare,
            differences,
        }
    }
}

/// To four decimals: more is noise.
pub(super) fn rounded(n: f64) -> f64 {
    (n * 10_000.0).round() / 10_000.0
}

impl Sub for Counts {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self {
            deliveries: self.deliveries - before.deliveries,
            acks: self.acks - before.acks,
            appends: self.appends - before.appends,
            refused: self.refused - before.refused,
            reads: self.reads - before.reads,
            leader_reads: self.leader_reads - before.leader_reads,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.deliveries += other.deliveries;
        self.acks += other.acks;
        self.appends += other.appends;
        self.refused += other.refused;
        self.reads += other.reads;
        self.leader_reads += other.leader_reads;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_added_over_their_labels() {
        let text = "# TYPE jetsaga_deliveries counter\n\
            jetsaga_deliveries_total{consumer=\"a\"} 3\njetsaga_deliveries_total{consumer=\"b\"} 4\n\
            jetsaga_journal_conflicts_total 2\njetsaga_journal_collisions_total 1\njetsaga_in_flight 9\n";
        let counts = Counts::of_metrics(text);
        assert_eq!((counts.deliveries, counts.refused, counts.acks), (7, 3, 0));
    }

    #[test]
    fn chance_may_share_out_a_conflict_but_not_make_one() {
        let list = |payment: u64, inventory: u64| {
            let refused = |refused| Counts {
                refused,
                appends: 100,
                ..Counts::default()
            };
            BTreeMap::from([
                ("payment", refused(payment).per(100)),
                ("inventory", refused(inventory).per(100)),
            ])
        };
        let differences = |bare, cancelled| Comparison::new(list(70, 30), bare, cancelled).differences.len();
        assert_eq!(differences(list(20, 80), 0.0), 0);
        assert_eq!(differences(list(70, 31), 0.0), 0);
        assert_eq!(differences(list(70, 40), 0.0), 1);
        assert_eq!(differences(list(70, 40), 1.0), 0);
    }
}
