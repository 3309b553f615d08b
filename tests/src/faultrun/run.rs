use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use jetsaga::{Status, Timestamp, now};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Args, Report,
    asker::Asker,
    books,
    driver::drive,
    fleet::DRAIN_LIMIT,
    follow::Follower,
    history::{Expected, Line},
    latency::{Latency, Trip, Window, longest_pause},
    ledger::Money,
    nemesis::{Log, Struck, nemesis},
    persist::persist,
    report::ByKind,
    rest::{DRAINED, at_rest},
    schedule::{Outline, schedule},
    site::Site,
};

/// How long a fault is felt after it is healed: an acknowledgement wait of ten seconds, and a retry.
const AFTERMATH: Duration = Duration::from_secs(15);
/// How long a healthy order may wait while nothing that may interrupt it goes on.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the last answers, and what is slow to heal, may take.
const LAST: Duration = Duration::from_secs(240);
/// How long the provider may take to show its ledger.
const LEDGER: Duration = Duration::from_secs(30);

/// A run under way.
struct Run {
    args: Args,
    outline: Outline,
    site: Arc<Site>,
    asker: Arc<Asker>,
    follower: Follower,
    log: Arc<Log>,
    begun: Timestamp,
    money: Money,
    /// Sentences that do not hold, found while it runs.
    seen: Vec<String>,
}

/// Starts a system, breaks it by the schedule while orders are placed, waits until it is at rest, and judges it.
/// Whatever was started has ended when this returns or is dropped.
///
/// # Errors
/// When the run could not be carried out: then it says nothing about the system.
pub async fn run(args: Args) -> Result<Report> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..u64::from(u32::MAX)));
    eprintln!("seed {seed}: repeat this run with --seed {seed}");
    let outline = args.outline(seed)?;
    let temporary = tempfile::tempdir()?;
    let dir = args.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&dir).with_context(|| format!("--keep {} cannot be made", dir.display()))?;
    let log = Log::create(&dir.join("faults.jsonl"))?;
    let site = Site::start(&dir, args.flaw.as_deref()).await?;
    let run = Run {
        follower: Follower::start(&site)?,
        asker: Asker::start(&site).await?,
        args,
        outline,
        site,
        log,
        begun: now(),
        money: Money::default(),
        seen: Vec::new(),
    };
    run.whole(&dir).await
}

impl Run {
    async fn whole(mut self, dir: &Path) -> Result<Report> {
        let healthy = self.break_things().await?;
        let rest = self.come_to_rest().await;
        let mut report = self.judge(&healthy, rest).await?;
        report.violations.append(&mut self.stop().await);
        books::lines(&dir.join("history.jsonl"), &self.asker.lines())?;
        std::fs::write(dir.join("run.json"), serde_json::to_vec_pretty(&report)?)?;
        Ok(report)
    }

    /// Places orders and does every fault. Returns the healthy orders.
    async fn break_things(&mut self) -> Result<Vec<String>> {
        let (stop, stopped) = watch::channel(false);
        let (seed, begun) = (self.outline.seed, Instant::now());
        self.begun = now();
        let driving = tokio::spawn(drive(self.asker.clone(), seed, self.args.rate, stopped));
        let faults = schedule(&self.outline);
        eprintln!("{} faults in {:?}", faults.len(), self.outline.length);
        let doing = nemesis(
            self.site.clone(),
            self.asker.clone(),
            faults,
            begun,
            self.log.clone(),
        );
        let mut doing = tokio::spawn(doing);
        let early = self.watch(&mut doing, begun + self.outline.length).await?;
        stop.send_replace(true);
        if early {
            doing.abort();
            return Ok(Vec::new());
        }
        let ended = timeout(LAST, async { anyhow::Ok((driving.await??, doing.await??)) });
        Ok(ended.await.context("the last orders or faults do not end")??.0)
    }

    /// Waits for the end of the time; if a violation is expected, only until one is seen. True if it was seen.
    async fn watch(&mut self, doing: &mut JoinHandle<Result<()>>, end: Instant) -> Result<bool> {
        while Instant::now() < end {
            sleep_until(end.min(Instant::now() + Duration::from_secs(2))).await;
            if doing.is_finished() && Instant::now() < end && !self.args.expect_violation {
                sleep_until(end).await;
            }
            if self.args.expect_violation && self.violated().await {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// True if something is seen already that should not be.
    async fn violated(&mut self) -> bool {
        // The provider may be down just now; its ledger is read at the end.
        if let Ok(lines) = self.site.fleet.ledger(self.money.place()).await
            && let Ok(mut twice) = self.money.read(&lines)
        {
            self.seen.append(&mut twice);
        }
        let seen = self.follower.sagas().violations.len() + self.seen.len();
        seen > 0
    }

    async fn come_to_rest(&mut self) -> Result<Duration, String> {
        if self.args.expect_violation && self.violated().await {
            return Ok(Duration::ZERO);
        }
        eprintln!("{} healed; waiting until all is at rest", now());
        at_rest(&self.site).await
    }

    async fn judge(&mut self, healthy: &[String], rest: Result<Duration, String>) -> Result<Report> {
        let early = self.args.expect_violation && self.violated().await;
        let mut violations = Vec::new();
        if !early {
            self.follower.catch_up(&self.site).await?;
            let (fleet, place) = (&self.site.fleet, self.money.place());
            let lines = persist("the ledger is read", LEDGER, || fleet.ledger(place)).await?;
            let mut twice = self.money.read(&lines)?;
            self.seen.append(&mut twice);
            violations = books::check(&self.asker.lines(), &self.follower.sagas(), &self.money);
        } else {
            violations.extend(self.follower.sagas().violations.iter().cloned());
        }
        violations.append(&mut self.seen);
        violations.extend(self.site.fleet.surprises());
        match &rest {
            Ok(took) if *took > DRAINED => violations.push(format!("it took {took:?} to come to rest")),
            Err(left) => violations.push(format!("it does not come to rest: {left}")),
            Ok(_) => {}
        }
        let mut report = self.measure(healthy);
        report.drain_ms = rest.ok().map(millis);
        report.violations.splice(0..0, violations);
        Ok(report)
    }

    /// What can be read from the journal, the history and the log of faults.
    fn measure(&self, healthy: &[String]) -> Report {
        let (lines, struck) = (self.asker.lines(), self.log.all());
        let trips = self.trips(healthy, &lines);
        let quiet_end = self.begun.after(self.outline.quiet);
        let (completed, cancelled) = {
            let sagas = self.follower.sagas();
            (sagas.count(Status::Completed), sagas.count(Status::Cancelled))
        };
        let mut report = Report {
            seed: self.outline.seed,
            seconds: self.outline.length.as_secs(),
            rate: self.args.rate,
            orders: lines
                .iter()
                .filter(|line| line.event_type == "OrderCreated" && line.expected == Expected::Good)
                .count(),
            completed,
            cancelled,
            answers: BTreeMap::new(),
            faults: struck.len(),
            kinds: by_kind(&struck, &trips),
            quiet: Latency::of(trips.iter().filter(|trip| trip.ended < quiet_end)),
            under_faults: Latency::of(trips.iter().filter(|trip| trip.ended >= quiet_end)),
            longest_pause_ms: millis(self.pause(&struck)),
            drain_ms: None,
            violations: struck
                .iter()
                .filter_map(|struck| struck.violation.clone())
                .collect(),
        };
        for line in &lines {
            *report.answers.entry(line.outcome).or_default() += 1;
        }
        report.violations.extend(kept_waiting(&trips, &struck));
        report
    }

    /// The healthy orders that came to an end.
    fn trips(&self, healthy: &[String], lines: &[Line]) -> Vec<Trip> {
        let asked: BTreeMap<&str, Timestamp> = lines
            .iter()
            .filter(|line| line.expected == Expected::Good && line.event_type == "OrderCreated")
            .map(|line| (line.order_id.as_str(), line.asked_at))
            .collect();
        let sagas = self.follower.sagas();
        let trip = |id: &String| {
            Some(Trip {
                id: id.clone(),
                asked: *asked.get(id.as_str())?,
                ended: sagas.get(id)?.ended?,
            })
        };
        healthy.iter().filter_map(trip).collect()
    }

    fn pause(&self, struck: &[Struck]) -> Duration {
        let led = |struck: &&Struck| {
            struck
                .note
                .as_ref()
                .is_some_and(|note| note.contains("which led EVENTS"))
        };
        let killed = struck
            .iter()
            .filter(|struck| struck.kind.kills_a_leader())
            .filter(led);
        let moments: Vec<Timestamp> = killed.map(|struck| struck.at).collect();
        longest_pause(&self.follower.sagas().beats, &moments)
    }

    /// Ends every worker as an orchestrator would. Returns what did not end well.
    async fn stop(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.args.expect_violation {
            return wrong;
        }
        for worker in &self.site.fleet.workers {
            let mut seat = worker.take().await;
            if let Err(error) = worker.drain(&mut seat, DRAIN_LIMIT).await {
                wrong.push(format!("{error:#}"));
            }
        }
        wrong
    }
}

/// Healthy orders that waited for more than half a minute while nothing went on that may interrupt them, and nothing
/// of the sort had ended just before.
fn kept_waiting(trips: &[Trip], struck: &[Struck]) -> Vec<String> {
    let mut excuses: Vec<Window> = struck
        .iter()
        .filter(|struck| struck.kind.interrupts())
        .map(|struck| Window {
            from: struck.at,
            until: struck.until.after(AFTERMATH),
        })
        .collect();
    excuses.sort_by_key(|window| window.from);
    let waited = |trip: &Trip| {
        let waited = trip.outside(&excuses);
        (waited > PATIENCE).then(|| format!("{} waited {waited:?} while nothing interrupted it", trip.id))
    };
    trips.iter().filter_map(waited).collect()
}

fn by_kind(struck: &[Struck], trips: &[Trip]) -> BTreeMap<super::Kind, ByKind> {
    let mut kinds = BTreeMap::new();
    for kind in struck.iter().map(|struck| struck.kind) {
        kinds.entry(kind).or_insert_with(ByKind::default).count += 1;
    }
    for (kind, by) in &mut kinds {
        let windows = struck
            .iter()
            .filter(|struck| struck.kind == *kind)
            .map(|struck| Window {
                from: struck.at,
                until: struck.until,
            });
        let windows: Vec<Window> = windows.collect();
        by.latency = Latency::of(
            trips
                .iter()
                .filter(|trip| windows.iter().any(|w| trip.overlaps(*w))),
        );
    }
    kinds
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
