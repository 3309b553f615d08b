use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::{
    process::{Child, Command},
    sync::{Mutex, MutexGuard},
    time::{Instant, timeout},
};

use super::proxy::Proxy;
use crate::harness::signal;

/// The place of one process, which is killed and started again in it.
#[derive(Debug)]
pub(super) struct Slot {
    /// Its name, and that of its log.
    pub(super) name: String,
    /// Between it and NATS, if it is a worker.
    pub(super) nats: Option<Proxy>,
    /// Between it and the payment provider, if it is a payment worker.
    pub(super) bank: Option<Proxy>,
    /// Held by whoever breaks its connections.
    pub(super) link: Mutex<()>,
    program: PathBuf,
    line: Vec<String>,
    flaw: Option<String>,
    log: PathBuf,
    seat: Mutex<Seat>,
}

/// The process in a slot. Whoever holds this is the only one that starts, stops, kills or freezes it.
#[derive(Debug, Default)]
pub(super) struct Seat {
    child: Option<Child>,
    /// How much was in the log when it was started.
    heard: u64,
}

/// How a process ended that nobody had told to.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// Its last words.
    pub(super) words: String,
    /// True if it had begun to work.
    pub(super) worked: bool,
}

/// What a worker logs when it begins to work.
const WORKS: &str = "working worker=";
/// How long after its drain limit a process may take to end.
const GRACE: Duration = Duration::from_secs(3);

impl Slot {
    /// An empty place for `program` with this command line, with its log under `logs`.
    pub(super) fn new(
        name: &str,
        program: &Path,
        line: Vec<String>,
        flaw: Option<&str>,
        logs: &Path,
    ) -> Self {
        Self {
            name: name.to_owned(),
            nats: None,
            bank: None,
            link: Mutex::new(()),
            program: program.to_owned(),
            line,
            flaw: flaw.map(str::to_owned),
            log: logs.join(format!("{name}.log")),
            seat: Mutex::new(Seat::default()),
        }
    }

    /// The process, for one fault alone.
    pub(super) async fn take(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().await
    }

    /// Starts it, if it does not run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(&self, seat: &mut Seat) -> Result<()> {
        if seat.child.is_some() {
            return Ok(());
        }
        let log = File::options().create(true).append(true).open(&self.log)?;
        seat.heard = log.metadata()?.len();
        let mut command = Command::new(&self.program);
        command.args(&self.line).env_clear().env("NO_COLOR", "1");
        if let Some(flaw) = &self.flaw {
            command.env("JETSAGA_FLAW", flaw);
        }
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .with_context(|| format!("{} cannot be started as {}", self.program.display(), self.name))?;
        seat.child = Some(child);
        Ok(())
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub(super) async fn kill(&self, seat: &mut Seat) -> Result<()> {
        if let Some(mut child) = seat.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Sends it a signal such as `-STOP`.
    ///
    /// # Errors
    /// When it does not run.
    pub(super) async fn signal(&self, seat: &Seat, name: &str) -> Result<()> {
        let id = seat.child.as_ref().and_then(Child::id);
        let id = id.with_context(|| format!("{} does not run", self.name))?;
        signal(name, &id.to_string()).await
    }

    /// True once the process that was started last has begun to work.
    pub(super) fn works(&self, seat: &Seat) -> bool {
        seat.child.is_some() && self.words(seat).contains(WORKS)
    }

    /// Tells it to drain, waits for its end, and returns how long that took.
    ///
    /// # Errors
    /// When it does not end within `limit` and three seconds, or not with 0; it is gone afterwards.
    pub(super) async fn drain(&self, seat: &mut Seat, limit: Duration) -> Result<Duration> {
        let begun = Instant::now();
        self.signal(seat, "-TERM").await?;
        let mut child = seat.child.take().context("it does not run")?;
        match timeout(limit + GRACE, child.wait()).await {
            Ok(status) => {
                let status = status?;
                ensure!(
                    status.success(),
                    "{} drained with {status}: {}",
                    self.name,
                    self.words(seat)
                );
                Ok(begun.elapsed())
            }
            Err(_) => {
                child.kill().await?;
                bail!(
                    "{} did not end within {limit:?} and {GRACE:?} after SIGTERM",
                    self.name
                )
            }
        }
    }

    /// How it ended, if nobody told it to; `None` if it runs, or if a fault has it just now.
    pub(super) fn ended(&self) -> Option<Ended> {
        let mut seat = self.seat.try_lock().ok()?;
        let status: ExitStatus = seat.child.as_mut()?.try_wait().ok()??;
        seat.child = None;
        let words = self.words(&seat);
        Some(Ended {
            worked: words.contains(WORKS),
            words: format!("{status}: {}", words.lines().last().unwrap_or_default()),
        })
    }

    /// What the process that was started last has logged.
    fn words(&self, seat: &Seat) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let begun = usize::try_from(seat.heard).unwrap_or(0).min(log.len());
        String::from_utf8_lossy(log.get(begun..).unwrap_or_default()).into_owned()
    }
}
