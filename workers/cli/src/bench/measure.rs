use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde::Serialize;

use super::{
    counts::{Counts, PerSaga, rounded},
    driver::Driver,
    orders::Mix,
    site::{Role, Side, Site},
    usage::{cpu_seconds, resident_mib},
};

/// One side with its driver.
pub(super) struct Bench {
    pub(super) site: Site,
    driver: Driver,
}

/// What several runs of one side came to.
#[derive(Default)]
pub(super) struct Sum {
    sagas: u64,
    cancelled: u64,
    took: Duration,
    /// Sagas per second of each run.
    rates: Vec<f64>,
    latencies: Vec<Duration>,
    cpu: BTreeMap<&'static str, f64>,
    counts: BTreeMap<&'static str, Counts>,
    resident: BTreeMap<&'static str, f64>,
}

/// The same as it is printed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    pub(super) sagas: u64,
    pub(super) cancelled: u64,
    pub(super) sagas_per_second: f64,
    /// From the append of the first event to the final one as the driver heard it, in milliseconds.
    pub(super) latency_ms: Latency,
    /// CPU seconds per 1,000 sagas, of each process.
    pub(super) cpu: BTreeMap<&'static str, f64>,
    /// The same of the server and the workers together; the driver is left out.
    pub(super) cpu_of_server_and_workers: f64,
    /// Resident memory at the end, in MiB.
    pub(super) resident_mib: BTreeMap<&'static str, f64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
}

impl Bench {
    pub(super) async fn open(side: Side, flags: &[&str]) -> anyhow::Result<Self> {
        let site = Site::open(side, &super::site::plan()?, flags).await?;
        let driver = Driver::new(&site).await?;
        Ok(Self { site, driver })
    }

    /// As [`Driver::sample`].
    pub(super) const fn sample(&mut self, share: f64) {
        self.driver.sample(share);
    }

    /// Runs `sagas` sagas and adds what they took to `sum`, the tail after the last final event included. Fails if
    /// the journal does not hold exactly the events that such sagas have.
    pub(super) async fn run(
        &mut self,
        sagas: u64,
        concurrency: usize,
        mix: Mix,
        sum: &mut Sum,
    ) -> anyhow::Result<()> {
        let first = self.site.settle().await?;
        let counts = self.site.counts().await?;
        let cpu = self.cpu()?; // after the counters were asked for: that costs, too
        let run = self.driver.run(sagas, concurrency, mix).await?;
        let last = self.site.settle().await?;
        let cpu_after = self.cpu()?;
        let cancelled = mix.cancelled(sagas);
        let events = 4 * (sagas - cancelled) + 5 * cancelled;
        let found = last - first;
        anyhow::ensure!(
            found == events,
            "the journal holds {found} events of {sagas} sagas, not {events}"
        );
        sum.sagas += sagas;
        sum.cancelled += cancelled;
        sum.took += run.took;
        sum.rates.push(sagas as f64 / run.took.as_secs_f64());
        sum.latencies.extend(run.latencies);
        for ((name, after), (_, before)) in cpu_after.into_iter().zip(cpu) {
            *sum.cpu.entry(name).or_default() += after - before;
        }
        for ((role, after), (_, before)) in self.counts_when_quiet().await?.into_iter().zip(counts) {
            *sum.counts.entry(role.word()).or_default() += after - before;
        }
        sum.resident = self.resident()?;
        Ok(())
    }

    /// The counters, once a worker has counted every acknowledgement that the server has heard.
    async fn counts_when_quiet(&self) -> anyhow::Result<Vec<(Role, Counts)>> {
        let begun = Instant::now();
        loop {
            let counts = self.site.counts().await?;
            if counts.iter().all(|(_, c)| c.acks >= c.deliveries) || begun.elapsed() > Duration::from_secs(1)
            {
                return Ok(counts);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn processes(&self) -> anyhow::Result<Vec<(&'static str, u32)>> {
        let mut processes = vec![("server", self.site.server_id()?), ("driver", std::process::id())];
        for (role, worker) in &self.site.workers {
            processes.push((role.word(), worker.id()?));
        }
        Ok(processes)
    }

    fn cpu(&self) -> anyhow::Result<Vec<(&'static str, f64)>> {
        let of = |(name, pid)| Ok((name, cpu_seconds(pid)?));
        self.processes()?.into_iter().map(of).collect()
    }

    /// The resident memory of each process, in MiB.
    pub(super) fn resident(&self) -> anyhow::Result<BTreeMap<&'static str, f64>> {
        let of = |(name, pid)| Ok((name, (resident_mib(pid)? * 10.0).round() / 10.0));
        self.processes()?.into_iter().map(of).collect()
    }
}

impl Sum {
    /// The operations of each role per saga; the driver's appends are the first events.
    pub(super) fn operations(&self) -> BTreeMap<&'static str, PerSaga> {
        let driver = Counts {
            appends: self.sagas,
            ..Counts::default()
        };
        let all = self.counts.iter().map(|(role, counts)| (*role, *counts));
        all.chain([("driver", driver)])
            .map(|(role, counts)| (role, counts.per(self.sagas)))
            .collect()
    }

    /// The share of sagas that were cancelled.
    pub(super) fn cancelled(&self) -> f64 {
        self.cancelled as f64 / self.sagas as f64
    }

    /// The sagas per second of this sum over those of `other`: the median over their runs, pair by pair, so that a
    /// burst of other work on the machine spoils one pair and not the result.
    pub(super) fn ratio(&self, other: &Self) -> f64 {
        let mut ratios: Vec<f64> = self
            .rates
            .iter()
            .zip(&other.rates)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        ratios.sort_by(f64::total_cmp);
        let (upper, lower) = (
            ratios.get(ratios.len() / 2),
            ratios.get(ratios.len().saturating_sub(1) / 2),
        );
        upper
            .zip(lower)
            .map_or(0.0, |(upper, lower)| rounded(f64::midpoint(*upper, *lower)))
    }

    pub(super) fn figures(mut self) -> anyhow::Result<Figures> {
        self.latencies.sort_unstable();
        let at = |part: f64| {
            let place = (self.latencies.len() as f64 * part) as usize;
            let found = self
                .latencies
                .get(place.min(self.latencies.len().saturating_sub(1)));
            found.map(|latency| rounded(latency.as_secs_f64() * 1000.0))
        };
        let latency = at(0.50).zip(at(0.95)).zip(at(0.99));
        let ((p50, p95), p99) = latency.context("nothing was measured")?;
        let thousands = self.sagas as f64 / 1000.0;
        let cpu: BTreeMap<_, _> = self
            .cpu
            .into_iter()
            .map(|(name, s)| (name, rounded(s / thousands)))
            .collect();
        let counted = cpu.iter().filter(|(name, _)| **name != "driver");
        Ok(Figures {
            sagas: self.sagas,
            cancelled: self.cancelled,
            sagas_per_second: (self.sagas as f64 / self.took.as_secs_f64()).round(),
            latency_ms: Latency { p50, p95, p99 },
            cpu_of_server_and_workers: rounded(counted.map(|(_, s)| s).sum()),
            cpu,
            resident_mib: self.resident,
        })
    }
}
