use std::time::Duration;

use engine::{Entry, Feed, JournalInfo, Nats, Service};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use crate::{
    DatabaseError, Position, Store,
    apply::{Applied, Read, apply},
    metrics::{ByProjection, Metrics},
    store::Written,
};

/// Applies all projections of a store from one feed of the journal, for as long as it runs.
///
/// It begins after the least position, whatever was applied before it died; any number of runners may work on one
/// database, and each event is applied by one of them. A projection that has to be rebuilt is left alone until it is,
/// and said so; the others go on. A database that does not answer is tried again; one that belongs to another journal
/// ends the runner with an error.
///
/// A projection that is new to a database with a long past holds the others up until it has come as far as they are:
/// rebuild it before the first runner that knows it begins.
pub struct Runner {
    store: Store,
}

/// The most events in one transaction.
pub(crate) const MOST: usize = 5_000;
/// How often it looks whether the journal is still the same, and whether a projection was rebuilt.
const LOOK: Duration = Duration::from_secs(3);
/// How long somebody who was overtaken lets the other one go on.
const STAND_BACK: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the journal's leader may show less than what a feed has handed out.
const BEYOND: Duration = Duration::from_secs(10);

impl Runner {
    /// A runner of everything in `store`.
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    async fn follow(&self, nats: &Nats, metrics: &Metrics) -> Result<(), DatabaseError> {
        let (positions, journal) = known(&self.store, nats).await?;
        for outdated in positions.iter().filter(|p| p.outdated) {
            let projection = outdated.name.to_owned();
            tracing::error!("{}", DatabaseError::Outdated { projection });
        }
        let mut last = journal.last;
        let mut positions = positions;
        let mut feed = Feed::open(nats, &[], least(&positions).unwrap_or(last)).await?;
        let _serving = nats.metrics.serving();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                entries = feed.batch(MOST) => {
                    last = last.max(entries.last().map_or(0, |entry| entry.sequence + entry.pending));
                    if !self.catch_up(&entries, &mut positions, metrics).await? {
                        return Ok(()); // something has to be read again
                    }
                }
                _ = look.tick() => {
                    let (now, journal) = known(&self.store, nats).await?;
                    let begins = |p: &Position, q: &Position| p.outdated && !q.outdated;
                    if positions.iter().zip(&now).any(|(p, q)| begins(p, q)) {
                        return Ok(());
                    }
                    last = journal.last;
                }
            }
            positions
                .iter()
                .for_each(|position| metrics.place(position, last));
        }
    }

    /// Has every projection contain `entries`; false if one of them needs earlier ones.
    async fn catch_up(
        &self,
        entries: &[Entry],
        positions: &mut Vec<Position>,
        metrics: &Metrics,
    ) -> Result<bool, DatabaseError> {
        let Some(before) = entries.first().map(|first| first.sequence.saturating_sub(1)) else {
            return Ok(true);
        };
        loop {
            let applied = self.apply(entries, positions);
            match self.write(applied, positions, metrics).await {
                Ok(Written::Done) => return Ok(true),
                Ok(Written::Overtaken) => {}
                Err(error) if error.is_refusal() => {
                    return self.apart(entries, positions, metrics, &error).await;
                }
                Err(error) => return Err(error),
            }
            metrics.overtaken.inc();
            sleep(STAND_BACK).await;
            *positions = self.store.positions().await?;
            if least(positions).is_some_and(|least| least < before) {
                return Ok(false);
            }
        }
    }

    /// The same for entries that the database refused: it takes them in smaller parts, and of one that it does not take
    /// alone it is told that it is a problem.
    async fn apart(
        &self,
        entries: &[Entry],
        positions: &mut Vec<Position>,
        metrics: &Metrics,
        error: &DatabaseError,
    ) -> Result<bool, DatabaseError> {
        let (front, back) = entries.split_at(entries.len() / 2);
        if !front.is_empty() {
            return Ok(Box::pin(self.catch_up(front, positions, metrics)).await?
                && Box::pin(self.catch_up(back, positions, metrics)).await?);
        }
        for applied in self.apply(entries, positions) {
            let refused = applied.refused(entries, error);
            let written = match self.write(vec![applied], positions, metrics).await {
                Err(error) if error.is_refusal() => self.write(vec![refused], positions, metrics).await?,
                written => written?,
            };
            if written == Written::Overtaken {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What `entries` make of every projection that is behind them.
    fn apply(&self, entries: &[Entry], positions: &[Position]) -> Vec<Applied> {
        let active = || {
            let all = self.store.declared.iter().zip(positions);
            all.filter(|(_, position)| !position.outdated)
        };
        let declared: Vec<_> = active().map(|(declared, _)| declared).collect();
        let after = least(positions).unwrap_or(u64::MAX);
        let new = entries.iter().filter(|entry| entry.sequence > after);
        let read: Vec<Read> = new.map(|entry| Read::new(entry, &declared)).collect();
        let applied = active().map(|(declared, position)| apply(declared, position, &read));
        applied.filter(|applied| applied.to > applied.from).collect()
    }

    async fn write(
        &self,
        applied: Vec<Applied>,
        positions: &mut [Position],
        metrics: &Metrics,
    ) -> Result<Written, DatabaseError> {
        let counts = applied.iter().map(|a| (a.name, a.to, a.heard, a.problems.len()));
        let counts: Vec<_> = counts.collect();
        if !applied.is_empty() && self.store.write(applied).await? == Written::Overtaken {
            return Ok(Written::Overtaken);
        }
        for (name, to, heard, problems) in counts {
            for position in positions.iter_mut().filter(|position| position.name == name) {
                position.sequence = to;
            }
            let labels = ByProjection::of(name);
            metrics.events.get_or_create(&labels).inc_by(heard);
            let problems = u64::try_from(problems).unwrap_or(u64::MAX);
            metrics.problems.get_or_create(&labels).inc_by(problems);
        }
        Ok(Written::Done)
    }
}

impl Service for Runner {
    async fn run(self, nats: Nats, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        let metrics = Metrics::registered(&nats.metrics);
        let mut pause = Duration::ZERO;
        loop {
            let begun = Instant::now();
            let mut stopped = stop.clone();
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return Ok(()), // what was not committed is applied again
                followed = self.follow(&nats, &metrics) => match followed {
                    Ok(()) => continue,
                    Err(error) if error.is_transient() => tracing::warn!(%error, "trying again"),
                    Err(error) => return Err(error.into()),
                },
            }
            pause = match begun.elapsed() > 2 * LONGEST_PAUSE {
                true => Duration::ZERO,
                false => (2 * pause).clamp(Duration::from_millis(100), LONGEST_PAUSE),
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                () = sleep(pause) => {}
            }
        }
    }
}

/// The least position of those that are applied.
fn least(positions: &[Position]) -> Option<u64> {
    positions.iter().filter(|p| !p.outdated).map(|p| p.sequence).min()
}

/// The positions and the journal, which belong together. The leader may show less for a moment than it has handed out.
pub(crate) async fn known(store: &Store, nats: &Nats) -> Result<(Vec<Position>, JournalInfo), DatabaseError> {
    let limit = Instant::now() + BEYOND;
    loop {
        let positions = store.positions().await?;
        let journal = JournalInfo::read(nats).await?;
        match store.belongs_to(&journal, &positions).await {
            Err(DatabaseError::Beyond { .. }) if Instant::now() < limit => {
                sleep(Duration::from_millis(500)).await;
            }
            known => return known.map(|()| (positions, journal)),
        }
    }
}
