use std::{
    ffi::OsStr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use async_nats::jetstream;
use jetsaga::{
    Nats, Topology,
    engine::{Feed, JournalInfo, Service as _},
};
use projection::{Picture, Projection, Runner, Store};
use projector::bench::Stories;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{Place, Server};

const PATIENCE: Duration = Duration::from_secs(60);

/// A nats-server with a journal, a database, and stories to fill them with.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) place: Place,
    pub(crate) nats: Nats,
    pub(crate) stories: Stories,
    js: jetstream::Context,
}

/// A runner in this process.
pub(crate) struct Projector {
    stop: watch::Sender<bool>,
    pub(crate) task: JoinHandle<Result<()>>,
}

impl Site {
    pub(crate) async fn new(place: Place) -> Result<Self> {
        let site = Self::on(Server::start()?, place).await?;
        Topology::new(1).ensure(&site.nats).await?;
        Ok(site)
    }

    /// A site on a server with a journal.
    pub(crate) async fn on(server: Server, place: Place) -> Result<Self> {
        let nats = Nats::connect(&server.url, "test").await?;
        Ok(Self {
            js: jetstream::new(nats.client.clone()),
            server,
            place,
            nats,
            stories: Stories::new(7, 50)?,
        })
    }

    /// Another connection to the database.
    pub(crate) async fn store(&self) -> Result<Store> {
        Ok(projector::open(&self.place.url()).await?)
    }

    /// Appends the events of so many orders, mixed; returns the sequence of the last.
    pub(crate) async fn orders(&mut self, count: u64) -> Result<u64> {
        let mut last = 0;
        for told in self.stories.orders(count)? {
            last = self.publish(&told.subject(), told.body()?).await?;
        }
        Ok(last)
    }

    /// Appends anything.
    pub(crate) async fn publish(&self, subject: &str, body: impl Into<Vec<u8>>) -> Result<u64> {
        let body: Vec<u8> = body.into();
        let stored = self.js.publish(subject.to_owned(), body.into()).await?;
        Ok(stored.await?.sequence)
    }

    pub(crate) async fn last(&self) -> Result<u64> {
        Ok(JournalInfo::read(&self.nats).await?.last)
    }

    /// Starts a runner on connections of its own.
    pub(crate) async fn runner(&self) -> Result<Projector> {
        self.runner_of(self.store().await?).await
    }

    pub(crate) async fn runner_of(&self, store: Store) -> Result<Projector> {
        let nats = Nats::connect(&self.server.url, "runner").await?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(Runner::new(store).run(nats, stopped));
        Ok(Projector { stop, task })
    }

    /// Starts a projector as a process of its own.
    pub(crate) fn process(&self) -> Result<Child> {
        self.process_with("DATABASE_URL", self.place.url())
    }

    /// The same, which finds the address of its database in this file.
    pub(crate) fn process_at(&self, file: &Path) -> Result<Child> {
        self.process_with("DATABASE_URL_FILE", file)
    }

    fn process_with(&self, variable: &str, value: impl AsRef<OsStr>) -> Result<Child> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jetsaga-projector"));
        command
            .env("JETSAGA_NATS_URL", &self.server.url)
            .env(variable, value)
            .env("JETSAGA_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        command.spawn().context("the projector cannot be started")
    }

    /// Waits until every projection that is applied contains the whole journal.
    pub(crate) async fn caught_up(&self, store: &Store) -> Result<()> {
        let last = self.last().await?;
        until("the end of the journal", async || {
            let positions = store.positions().await?;
            let reached = positions.iter().all(|p| p.outdated || p.sequence >= last);
            Ok(reached.then_some(()))
        })
        .await
    }

    /// Compares every table with the fold of the journal.
    pub(crate) async fn check(&self, store: &Store, projections: Vec<Box<dyn Projection>>) -> Result<()> {
        let last = self.last().await?;
        for projection in projections {
            let expected = folded(&self.nats, &*projection, last).await?.lines();
            let found = store.picture(projection.name()).await?.lines();
            for (expected, found) in expected.iter().zip(&found) {
                assert_eq!(expected, found, "{}", projection.name());
            }
            assert_eq!(expected.len(), found.len(), "{}", projection.name());
        }
        Ok(())
    }
}

impl Projector {
    /// Stops it and says how it ended.
    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.send_replace(true);
        timeout(PATIENCE, self.task)
            .await
            .context("the runner does not end")??
    }

    /// Lets it go in the middle of whatever it does.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await; // it was cancelled
    }
}

/// What the journal up to `last` makes of a projection, one event after the other, without any database.
async fn folded(nats: &Nats, projection: &dyn Projection, last: u64) -> Result<Picture> {
    let mut picture = Picture::of(projection);
    if last == 0 {
        return Ok(picture);
    }
    let mut feed = Feed::open(nats, &[], 0).await?;
    loop {
        let entry = timeout(PATIENCE, feed.next())
            .await
            .context("the journal ends early")?;
        if let Ok(heard) = entry.heard() {
            let _ = picture.hear(projection, &heard); // what it cannot read changes nothing
        }
        if entry.sequence >= last {
            return Ok(picture);
        }
    }
}

/// Looks again and again until there is something to see.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        if Instant::now() > limit {
            bail!("{what}: not seen within {PATIENCE:?}");
        }
        sleep(Duration::from_millis(5)).await;
    }
}
