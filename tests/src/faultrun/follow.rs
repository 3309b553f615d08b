use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use async_nats::{
    header,
    jetstream::{consumer::DeliverPolicy, consumer::pull::OrderedConfig},
};
use futures_util::StreamExt as _;
use jetsaga::Timestamp;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use super::{
    entity::{Heard, Sagas},
    persist::persist,
    site::Site,
};

/// Reads the journal's events of the checkout as they come, from the first one, through every outage. It ends when it
/// is dropped.
pub(super) struct Follower {
    sagas: Arc<Mutex<Sagas>>,
    _reading: JoinSet<()>,
}

/// What it reads.
const FILTER: &str = "evt.checkout.*.*";
/// How long it may take to read what is left at the end.
const REST: Duration = Duration::from_secs(60);

impl Follower {
    /// Begins to read.
    ///
    /// # Errors
    /// When the checkout is no plan.
    pub(super) fn start(site: &Arc<Site>) -> Result<Self> {
        let sagas = Arc::new(Mutex::new(Sagas::new()?));
        let mut reading = JoinSet::new();
        let (site, into) = (site.clone(), sagas.clone());
        reading.spawn(async move {
            loop {
                // Whatever ended it, reading goes on after the last event that was heard.
                if let Err(error) = read(&site, &into).await {
                    eprintln!("the journal is read again: {error:#}");
                }
                sleep(Duration::from_millis(500)).await;
            }
        });
        Ok(Self {
            sagas,
            _reading: reading,
        })
    }

    /// What was read until now.
    pub(super) fn sagas(&self) -> MutexGuard<'_, Sagas> {
        lock(&self.sagas)
    }

    /// Waits until everything that is in the journal now was read.
    ///
    /// # Errors
    /// When that takes more than a minute.
    pub(super) async fn catch_up(&self, site: &Site) -> Result<()> {
        persist("the journal is read to its end", REST, || async {
            let last = last(site).await?;
            ensure!(self.sagas().last >= last, "{} of {last}", self.sagas().last);
            Ok(())
        })
        .await
    }
}

/// The sequence of the checkout's last event.
async fn last(site: &Site) -> Result<u64> {
    let found = site
        .api("STREAM.MSG.GET.EVENTS", &json!({"last_by_subj": FILTER}))
        .await;
    match found {
        Ok(found) => found["message"]["seq"].as_u64().context("no sequence"),
        Err(error) if error.to_string().contains("no message found") => Ok(0),
        Err(error) => Err(error),
    }
}

async fn read(site: &Site, sagas: &Mutex<Sagas>) -> Result<()> {
    let stream = site.js.get_stream("EVENTS").await?;
    let start_sequence = lock(sagas).last + 1;
    let config = OrderedConfig {
        filter_subject: FILTER.to_owned(),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
        ..OrderedConfig::default()
    };
    let mut messages = stream.create_consumer(config).await?.messages().await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        let info = message.info().map_err(|error| anyhow::anyhow!("{error}"))?;
        let (sequence, stored_at) = (info.stream_sequence, Timestamp::from(info.published));
        let guard = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE));
        let heard = Heard {
            subject: message.subject.to_string(),
            sequence,
            guard: guard.and_then(|guard| guard.as_str().parse().ok()).unwrap_or(0),
            stored_at,
            body: message.payload.to_vec(),
        };
        lock(sagas).hear(&heard);
    }
    Ok(())
}

fn lock(sagas: &Mutex<Sagas>) -> MutexGuard<'_, Sagas> {
    sagas.lock().unwrap_or_else(PoisonError::into_inner)
}
