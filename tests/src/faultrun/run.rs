use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use checkout::books::Source;
use jetsaga::{Timestamp, now};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    Args, Report,
    asker::Asker,
    driver::drive,
    fleet::{DRAIN_LIMIT, Manner},
    follow::Follower,
    ledger::Money,
    measure::{Material, measure, millis},
    nemesis::{Log, nemesis},
    rest::{DRAINED, WATCHED, at_rest},
    schedule::{Outline, schedule},
    site::Site,
    verdict,
};

/// How long the last answers, and what is slow to heal, may take.
const LAST: Duration = Duration::from_secs(240);

/// How long all may take to come to rest where a violation is awaited.
const AWAITED: Duration = Duration::from_secs(25);

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

/// Starts a system in `dir`, breaks it by the schedule while orders are placed, waits until it is at rest, and judges
/// it. Whatever was started has ended when this returns, or with the runtime if it is dropped.
///
/// # Errors
/// When the run could not be carried out: then it says nothing about the system.
pub async fn run(args: Args, dir: &Path) -> Result<Report> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..u64::from(u32::MAX)));
    eprintln!("seed {seed}: repeat this run with --seed {seed}");
    let outline = args.outline(seed)?;
    let recorded = dir.join(Source::Journal.file());
    ensure!(
        !recorded.exists(),
        "{} is the recording of another run; name another folder",
        recorded.display()
    );
    let log = Log::create(&dir.join("faults.jsonl"))?;
    let site = Site::start(&Manner {
        dir,
        flaw: args.flaw.as_deref(),
        log: &args.log,
        deadline: args.deadline,
    })
    .await?;
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
    run.whole(dir).await
}

/// The orders that are being placed, until told to stop; then the ids of the healthy ones.
struct Driving {
    stop: watch::Sender<bool>,
    orders: JoinHandle<Result<Vec<String>>>,
}

impl Run {
    async fn whole(mut self, dir: &Path) -> Result<Report> {
        let driving = self.drive();
        let (healthy, rest) = if self.break_things().await? {
            let (healthy, rest) = self.come_to_rest(driving).await?;
            (Some(healthy), rest)
        } else {
            (None, Ok(Duration::ZERO))
        };
        verdict::lines(&dir.join("history.jsonl"), &self.asker.lines())?;
        let mut report = self.judge(dir, healthy.as_deref(), rest).await?;
        report.violations.append(&mut self.stop().await);
        std::fs::write(dir.join("run.json"), serde_json::to_vec_pretty(&report)?)?;
        Ok(report)
    }

    fn drive(&mut self) -> Driving {
        let (stop, stopped) = watch::channel(false);
        self.begun = now();
        let orders = drive(self.asker.clone(), self.outline.seed, self.args.rate, stopped);
        Driving {
            stop,
            orders: tokio::spawn(orders),
        }
    }

    /// Does every fault, until the time is over. False if a violation was awaited and seen before.
    async fn break_things(&mut self) -> Result<bool> {
        let (site, asker, log) = (self.site.clone(), self.asker.clone(), self.log.clone());
        let (faults, begun) = (schedule(&self.outline), Instant::now());
        let end = begun + self.outline.length;
        eprintln!("{} faults in {:?}", faults.len(), self.outline.length);
        let doing = async {
            nemesis(site, asker, faults, begun, log).await?;
            sleep_until(end).await;
            anyhow::Ok(true)
        };
        let awaited = self.args.expect_violation;
        tokio::select! {
            done = doing => done,
            () = self.until_violated(), if awaited => Ok(false),
        }
    }

    /// Stops placing orders, and waits until all is at rest: how long that took, or what is left.
    async fn come_to_rest(&self, driving: Driving) -> Result<(Vec<String>, Result<Duration, String>)> {
        eprintln!("{} healed; waiting until all is at rest", now());
        driving.stop.send_replace(true);
        let (patience, last) = if self.args.expect_violation {
            (AWAITED, AWAITED) // it is enough to see that it is not right by then
        } else {
            (WATCHED, LAST)
        };
        let first = at_rest(&self.site, patience).await;
        // Who waits for an answer in vain keeps nobody else busy; what is asked late does.
        let healthy = match timeout(last, driving.orders).await {
            Err(_) if self.args.expect_violation => Vec::new(),
            healthy => healthy.context("the last orders are not answered")???,
        };
        let rest = match (first, at_rest(&self.site, patience).await) {
            (Ok(first), Ok(second)) => Ok(first + second),
            (_, Err(left)) | (Err(left), _) => Err(left),
        };
        Ok((healthy, rest))
    }

    async fn until_violated(&mut self) {
        while !self.violated().await {
            sleep(Duration::from_secs(2)).await;
        }
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

    /// The report, with every sentence that does not hold. After an early stop only what was seen already is told.
    async fn judge(
        &mut self,
        dir: &Path,
        healthy: Option<&[String]>,
        rest: Result<Duration, String>,
    ) -> Result<Report> {
        // What never comes to rest where a violation is awaited has shown it.
        let healthy = healthy.filter(|_| rest.is_ok() || !self.args.expect_violation);
        if healthy.is_some() {
            self.follower.catch_up(&self.site).await?;
            verdict::record(&self.site, dir, rest.is_ok()).await?;
        }
        let (lines, struck) = (self.asker.lines(), self.log.all());
        let sagas = self.follower.sagas();
        let mut report = measure(&Material {
            outline: &self.outline,
            rate: self.args.rate,
            begun: self.begun,
            healthy: healthy.unwrap_or_default(),
            lines: &lines,
            struck: &struck,
            sagas: &sagas,
        });
        let violations = &mut report.violations;
        if healthy.is_some() {
            let (wrong, counts) = verdict::check(dir, &lines, &sagas)?;
            violations.extend(wrong);
            report.counts = Some(counts);
        } else {
            violations.extend(sagas.violations.iter().cloned());
        }
        violations.append(&mut self.seen);
        violations.extend(self.site.fleet.surprises());
        violations.extend(late(&rest));
        report.drain_ms = rest.ok().map(millis);
        Ok(report)
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

/// What is wrong with how long it took to come to rest.
fn late(rest: &Result<Duration, String>) -> Option<String> {
    match rest {
        Ok(took) if *took > DRAINED => Some(format!("it took {took:?} to come to rest")),
        Err(left) => Some(format!("it does not come to rest: {left}")),
        Ok(_) => None,
    }
}
