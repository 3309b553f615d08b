use std::{path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use clap::ValueEnum as _;

use super::{kind::Kind, schedule::Outline};

/// Breaks the checkout in every way we know while orders come in, and proves that nothing was lost or done twice.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "faults")]
pub struct Args {
    /// How long orders are placed, the quiet time included.
    #[arg(long, default_value = "3", value_parser = minutes)]
    pub minutes: f64,

    /// What chance starts from; the same seed makes the same faults and orders. Drawn and printed if not given.
    #[arg(long)]
    pub seed: Option<u64>,

    /// How long nothing goes wrong at first; a minute at most, a sixth of the run if not given.
    #[arg(long, value_parser = jetsaga::duration)]
    pub quiet: Option<Duration>,

    /// Orders a second.
    #[arg(long, default_value = "25", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,

    /// The mean time between two faults.
    #[arg(long, default_value = "1900ms", value_parser = jetsaga::duration)]
    pub every: Duration,

    /// Only these kinds of faults, separated by commas; all of them if not given.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub kinds: Vec<Kind>,

    /// How long an order may stay open before it is taken back.
    #[arg(long, default_value = "15m", value_parser = jetsaga::duration)]
    pub deadline: Duration,

    /// The deliberate flaw that workers are told to have; `all` for a run with each of them.
    #[arg(long)]
    pub flaw: Option<String>,

    /// What the workers log.
    #[arg(long, default_value = "info")]
    pub log: String,

    /// Succeed only if something is violated, and stop as soon as that is seen.
    #[arg(long)]
    pub expect_violation: bool,

    /// Keep the recording and all logs in this folder.
    #[arg(long)]
    pub keep: Option<PathBuf>,

    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// The outline of the faults.
    ///
    /// # Errors
    /// When the quiet time is longer than the run.
    pub(super) fn outline(&self, seed: u64) -> Result<Outline> {
        let length = Duration::from_secs_f64(self.minutes * 60.0);
        let quiet = self
            .quiet
            .unwrap_or_else(|| Duration::from_secs(60).min(length / 6));
        ensure!(
            quiet < length,
            "--quiet is {quiet:?}, but the run takes {length:?}; it takes less than the run"
        );
        let kinds = if self.kinds.is_empty() {
            Kind::value_variants().to_vec()
        } else {
            self.kinds.clone()
        };
        Ok(Outline {
            seed,
            quiet,
            length,
            every: self.every,
            kinds,
        })
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.1..=10_000.0).contains(&minutes) => Ok(minutes),
        _ => Err(format!("{text:?} is no number of minutes; it takes 0.1 to 10000")),
    }
}
