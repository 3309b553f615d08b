use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use engine::now;
use saga::Timestamp;

/// What happened in a run, a line for each thing: when, who, what. Kept only if somebody wants to hear it.
#[derive(Debug)]
pub struct Story {
    begin: Timestamp,
    lines: Option<Mutex<Vec<String>>>,
}

impl Story {
    /// A story that begins now.
    pub fn new(is_told: bool) -> Self {
        Self {
            begin: now(),
            lines: is_told.then(Mutex::default),
        }
    }

    /// True if somebody wants to hear it.
    pub const fn is_told(&self) -> bool {
        self.lines.is_some()
    }

    /// Adds a line.
    pub fn note(&self, who: &str, what: impl FnOnce() -> String) {
        if let Some(lines) = &self.lines {
            let time = since(now().since(self.begin));
            let line = format!("{time:>10}  {who:<12} {}", what());
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    /// Every line, oldest first.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.lines.as_ref();
        lines.map_or_else(Vec::new, |lines| {
            lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }
}

fn since(time: Duration) -> impl fmt::Display {
    format!("{}.{:03}", time.as_secs(), time.subsec_millis())
}
