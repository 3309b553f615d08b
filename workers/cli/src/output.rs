use std::{
    io::{ErrorKind, Write as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// How results are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// One result: `text` for a person, or `value` as JSON on a line.
    pub(crate) fn print<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        say(&if self.json {
            serde_json::to_string(value)?
        } else {
            text(value)
        })
    }
}

/// Prints a line on standard output.
///
/// # Errors
/// When nobody reads it any more; see [`nobody_listens`].
pub(crate) fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// True if the reader of standard output has gone, as `head` does once it has seen enough: that is no failure.
pub(crate) fn nobody_listens(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

/// What is wrong with a flag or a variable, without the word "error" in front: that is ours to say.
pub(crate) fn sentence(error: &clap::Error) -> anyhow::Error {
    let text = error.to_string();
    anyhow::anyhow!("{}", text.trim_start_matches("error: ").trim_end())
}

/// `text` from outside, fit for a terminal: what would steer it is shown, and it stays on its line.
pub(crate) fn plain(text: &str) -> String {
    let shown = text.chars().flat_map(|c| {
        let steers = c.is_control();
        let (escaped, as_it_is) = (
            c.escape_default().filter(move |_| steers),
            Some(c).filter(|_| !steers),
        );
        escaped.chain(as_it_is)
    });
    shown.collect()
}

/// A bar on standard error for what takes longer than a second.
pub(crate) fn progress(total: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(total).with_message(what.to_owned());
    let style = ProgressStyle::with_template("{msg:>12} [{bar:40}] {pos}/{len} {per_sec} {elapsed}");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// The same bar, which shows only what is not done within a second.
pub(crate) fn late_progress(total: u64, what: &str) -> ProgressBar {
    let bar = progress(total, what);
    bar.set_draw_target(ProgressDrawTarget::hidden());
    let late = bar.downgrade();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Some(bar) = late.upgrade().filter(|bar| !bar.is_finished()) {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    });
    bar
}

/// A duration as a person reads it: `0.8 ms`, `12 ms`, `3.4 s`.
pub(crate) fn human(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}
