use std::{
    fs::File,
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use jetsaga::{Timestamp, now};
use serde::Serialize;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{asker::Asker, kind::Kind, schedule::Fault, site::Site, strikes};

/// A fault as it was done: one line of `faults.jsonl`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Struck {
    /// When it was begun.
    pub(super) at: Timestamp,
    /// What was done.
    pub(super) kind: Kind,
    /// To what.
    pub(super) target: String,
    /// When it was healed.
    pub(super) until: Timestamp,
    /// True if the leader of the journal died of it.
    pub(super) leader: bool,
    /// What there is to say about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
    /// Why it is no fault but a failure of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) violation: Option<String>,
}

/// What came of a fault.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// What there is to say about it.
    pub(super) note: Option<String>,
    /// True if the leader of the journal died of it.
    pub(super) leader: bool,
    /// What the system should have stood and did not.
    pub(super) violation: Option<String>,
}

/// The faults that were done until now, in memory and in a file.
pub(super) struct Log {
    file: Mutex<File>,
    struck: Mutex<Vec<Struck>>,
}

impl Log {
    /// An empty log in this file.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(super) fn create(path: &Path) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            file: Mutex::new(File::create(path)?),
            struck: Mutex::default(),
        }))
    }

    /// All that were healed, in the order of their ends.
    pub(super) fn all(&self) -> Vec<Struck> {
        self.struck.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, struck: Struck) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(line) = serde_json::to_string(&struck)
            && let Err(error) = writeln!(file, "{line}")
        {
            eprintln!("faults.jsonl: {error}");
        }
        self.struck
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(struck);
    }
}

/// Does every fault at its time, counted from `begun`, and returns when the last one is healed.
///
/// # Errors
/// When something cannot be healed: then the run says nothing about the system.
pub(super) async fn nemesis(
    site: Arc<Site>,
    asker: Arc<Asker>,
    faults: Vec<Fault>,
    begun: Instant,
    log: Arc<Log>,
) -> Result<()> {
    let mut under_way = JoinSet::new();
    for fault in faults {
        sleep_until(begun + fault.at).await;
        under_way.spawn(strike(site.clone(), asker.clone(), fault, log.clone()));
        while let Some(healed) = under_way.try_join_next() {
            healed??;
        }
    }
    while let Some(healed) = under_way.join_next().await {
        healed??;
    }
    Ok(())
}

async fn strike(site: Arc<Site>, asker: Arc<Asker>, fault: Fault, log: Arc<Log>) -> Result<()> {
    let at = now();
    eprintln!("{at} {} {}", fault.kind, fault.target);
    let done = strikes::carry_out(&site, &asker, &fault).await?;
    log.add(Struck {
        at,
        kind: fault.kind,
        target: fault.target.to_string(),
        until: now(),
        leader: done.leader,
        note: done.note,
        violation: done.violation,
    });
    Ok(())
}
