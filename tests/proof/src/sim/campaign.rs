use std::{
    fmt, panic,
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use engine::faults::Flaw;

use super::{Ran, Setup, Tally, run};

/// Many seeds, one after the other on each of some threads.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// The bug that the workers have.
    pub flaw: Option<Flaw>,
    /// How many at a time.
    pub threads: usize,
}

/// What came of a campaign.
#[derive(Debug)]
pub struct Outcome {
    /// What was reached.
    pub tally: Tally,
    /// The lowest seed whose books do not hold; nothing was run after it.
    pub failed: Option<Failed>,
    /// How long it took.
    pub took: Duration,
}

/// A seed whose books do not hold.
#[derive(Debug)]
pub struct Failed {
    /// What was run.
    pub setup: Setup,
    /// What came of it, with its story.
    pub ran: Ran,
}

/// The violations of one run that are told at length.
const TOLD: usize = 5;

/// Runs the seeds of a campaign until one fails, or to its end.
///
/// # Errors
/// When a run cannot be set up.
pub fn campaign(campaign: Campaign) -> anyhow::Result<Outcome> {
    quiet();
    let began = Instant::now();
    let next = AtomicU64::new(campaign.first);
    let end = AtomicU64::new(campaign.first + campaign.count);
    let tally = Mutex::new(Tally::default());
    let run_some = || -> anyhow::Result<()> {
        let mut reached = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end.load(Ordering::Relaxed) {
                break;
            }
            let ran = run(setup(campaign, seed, false))?;
            reached.add(&ran.tally);
            if !ran.violations.is_empty() {
                end.fetch_min(seed, Ordering::Relaxed);
            }
        }
        tally.lock().unwrap_or_else(PoisonError::into_inner).add(&reached);
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..campaign.threads).map(|_| scope.spawn(run_some)).collect();
        threads.into_iter().try_for_each(|thread| {
            let ended = thread.join();
            ended.unwrap_or_else(|panic| panic::resume_unwind(panic))
        })
    })?;
    let stopped = end.load(Ordering::Relaxed);
    let failed = (stopped < campaign.first + campaign.count).then(|| {
        let setup = setup(campaign, stopped, true);
        run(setup).map(|ran| Failed { setup, ran })
    });
    Ok(Outcome {
        tally: tally.into_inner().unwrap_or_else(PoisonError::into_inner),
        failed: failed.transpose()?,
        took: began.elapsed(),
    })
}

const fn setup(campaign: Campaign, seed: u64, is_told: bool) -> Setup {
    Setup {
        seed,
        flaw: campaign.flaw,
        is_told,
    }
}

/// Lets the panics that a run asks for pass without a word.
pub fn quiet() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let word = panic.payload_as_str().unwrap_or_default();
            if !word.starts_with("by the script") {
                loud(panic);
            }
        }));
    });
}

/// The story of the seed, what does not hold, and how to see it again.
impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setup { seed, flaw, .. } = self.setup;
        self.ran.story.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "\nseed {seed}: {} violations", self.ran.violations.len())?;
        for violation in self.ran.violations.iter().take(TOLD) {
            writeln!(f, "{violation}")?;
        }
        let flaw = flaw.map(|flaw| format!(" --flaw {flaw:?}")).unwrap_or_default();
        write!(
            f,
            "\nreplay: cargo run -p jetsaga-proof --bin simulate -- {seed}{flaw}"
        )
    }
}
