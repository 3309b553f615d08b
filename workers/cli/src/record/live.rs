use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use async_nats::{
    HeaderMap, HeaderName, header,
    jetstream::{self, stream::SourceInfo},
};
use checkout::books::{Kept, Message, Scope, Source};
use jetsaga::{
    Letters, Nats, now,
    subject::{EVENTS, KV_STATE},
};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{Sink, rest, stream};

const STREAM_SOURCE: HeaderName = HeaderName::from_static("Nats-Stream-Source");

/// How long the bucket may stand still, while the server reads the journal for it, until it counts as one that comes no
/// nearer.
const STANDING_STILL: Duration = Duration::from_secs(2);
/// The same while the server does not read. A new leader of the bucket whose request finds no leader of the journal asks
/// again after 40 s, and after 50 s more.
const UNREAD: Duration = Duration::from_secs(100);
/// The server reads the journal for the bucket if it heard from it not longer ago; it hears every second.
const LATELY: Duration = Duration::from_millis(500);

/// Where the payment provider's ledger is.
#[derive(Clone, Debug)]
pub enum Ledger {
    /// At the provider itself, by its URL.
    Provider(String),
    /// In a file.
    File(PathBuf),
    /// Nowhere: money is not compared.
    Nowhere,
}

/// A running system whose accounts are taken. It is only read.
#[derive(Clone, Debug)]
pub struct Live {
    nats: Nats,
    ledger: Ledger,
    scope: Scope,
}

impl Live {
    /// Begins: what is in the journal now is compared with everything that is read from now on.
    ///
    /// # Errors
    /// When there is no journal.
    pub async fn open(nats: &Nats, ledger: Ledger, at_rest: bool) -> anyhow::Result<Self> {
        let settled = rest::last(&nats.jetstream, EVENTS).await?;
        let scope = Scope {
            at_rest,
            settled,
            at: Some(now()),
        };
        Ok(Self {
            nats: nats.clone(),
            ledger,
            scope,
        })
    }

    /// What the accounts are to be compared by.
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Gives every account to `sink`. What the journal got meanwhile is given as well.
    ///
    /// # Errors
    /// When something cannot be read; or when it was to be at rest, but something was appended meanwhile.
    pub async fn read(&self, sink: &mut impl Sink) -> anyhow::Result<()> {
        let settled = self.scope.settled;
        self.journal(1, settled, sink).await?;
        self.consumers(sink).await?;
        self.letters(sink).await?;
        self.ledger(sink).await?;
        self.bucket(sink).await?;
        let last = rest::last(&self.nats.jetstream, EVENTS).await?;
        ensure!(
            !self.scope.at_rest || last == settled,
            "the system is not at rest: {} events were appended meanwhile",
            last - settled
        );
        self.journal(settled + 1, last, sink).await
    }

    async fn journal(&self, from: u64, last: u64, sink: &mut impl Sink) -> anyhow::Result<()> {
        sink.begin(Source::Journal)?;
        stream::read(&self.nats, EVENTS, from, last, |message, sequence| {
            let time = message.info().map(|info| info.published);
            let time = time.map_err(|error| anyhow::anyhow!("a delivery that is none: {error}"))?;
            let guard = text(message, header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE);
            let guard = guard.and_then(|guard| guard.parse().ok());
            let line = Message::new(
                sequence,
                message.subject.as_str(),
                guard,
                time.into(),
                &message.payload,
            );
            give(sink, Source::Journal, &line)
        })
        .await
    }

    async fn consumers(&self, sink: &mut impl Sink) -> anyhow::Result<()> {
        let (leftovers, schedules) = rest::to_do(&self.nats.jetstream).await?;
        sink.begin(Source::Consumers)?;
        give(sink, Source::Consumers, &leftovers)?;
        let Some(schedules) = schedules else {
            return Ok(());
        };
        sink.begin(Source::Schedules)?;
        schedules
            .iter()
            .try_for_each(|scheduled| give(sink, Source::Schedules, scheduled))
    }

    async fn letters(&self, sink: &mut impl Sink) -> anyhow::Result<()> {
        sink.begin(Source::Letters)?;
        for letter in Letters::new(&self.nats).list().await? {
            give(sink, Source::Letters, &letter)?;
        }
        Ok(())
    }

    async fn ledger(&self, sink: &mut impl Sink) -> anyhow::Result<()> {
        let text = match &self.ledger {
            Ledger::Nowhere => return Ok(()),
            Ledger::File(path) => std::fs::read_to_string(path)
                .with_context(|| format!("the ledger {} cannot be read", path.display()))?,
            Ledger::Provider(url) => {
                let read = async || {
                    reqwest::get(format!("{url}/v1/ledger?after=0"))
                        .await?
                        .error_for_status()?
                        .text()
                        .await
                };
                read().await.with_context(|| {
                    format!("no ledger from the provider at {url}; name another with --provider-url, or say --no-ledger")
                })?
            }
        };
        sink.begin(Source::Ledger)?;
        text.lines().try_for_each(|line| sink.line(Source::Ledger, line))
    }

    async fn bucket(&self, sink: &mut impl Sink) -> anyhow::Result<()> {
        let (last, _) = caught_up(&self.nats, self.scope.settled).await?;
        sink.begin(Source::Bucket)?;
        stream::read(&self.nats, KV_STATE, 1, last, |message, _| {
            let key = message.subject.as_str();
            let key = key.strip_prefix("$KV.STATE.").unwrap_or(key);
            let sequence = text(message, STREAM_SOURCE)
                .and_then(journal_sequence)
                .unwrap_or(0);
            give(sink, Source::Bucket, &Kept::new(key, sequence, &message.payload))
        })
        .await
    }
}

/// How far the bucket is.
#[derive(Clone, Copy, Debug)]
struct Reached {
    /// Its own last sequence.
    last: u64,
    /// The sequence of the journal's event that it took last.
    event: u64,
    /// True if the server reads the journal for it just now, or never will.
    read: bool,
}

impl Reached {
    async fn now(jetstream: &jetstream::Context) -> anyhow::Result<Self> {
        let stream = jetstream.get_stream(KV_STATE).await;
        let stream = stream.context("there is no state bucket (stream KV_STATE)")?;
        let info = stream.cached_info();
        let last = info.state.last_sequence;
        // It may be replaced by a newer one between the two answers; then it is asked for again.
        let message = if last == 0 {
            None
        } else {
            stream.get_raw_message(last).await.ok()
        };
        let source = message
            .as_ref()
            .and_then(|message| message.headers.get(STREAM_SOURCE));
        let heard = |source: &SourceInfo| source.active.is_some_and(|since| since < LATELY);
        Ok(Self {
            last,
            event: source
                .and_then(|source| journal_sequence(source.as_str()))
                .unwrap_or(0),
            read: info.sources.iter().all(heard),
        })
    }
}

/// The sequence of the journal's event that the bucket took last. What the server itself says of a source, its `lag`,
/// stays at 0 while it does not read.
///
/// # Errors
/// When there is no bucket, or no answer.
pub async fn bucket_at(jetstream: &jetstream::Context) -> anyhow::Result<u64> {
    Ok(Reached::now(jetstream).await?.event)
}

/// Waits until the bucket has what the journal had at `sequence`, for as long as it may come nearer. Its own last
/// sequence, and whether it has.
async fn caught_up(nats: &Nats, sequence: u64) -> anyhow::Result<(u64, bool)> {
    let (mut reached, mut since) = (0, Instant::now());
    loop {
        let now = Reached::now(&nats.jetstream).await?;
        if now.event > reached {
            (reached, since) = (now.event, Instant::now());
        }
        let patience = if now.read { STANDING_STILL } else { UNREAD };
        if reached >= sequence || since.elapsed() >= patience {
            return Ok((now.last, reached >= sequence));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the bucket has what the journal had at `sequence`.
pub(crate) async fn filled(nats: &Nats, sequence: u64) -> anyhow::Result<()> {
    let (_, filled) = caught_up(nats, sequence).await?;
    ensure!(
        filled,
        "the server does not fill the bucket: it still lacks event {sequence} of the journal"
    );
    Ok(())
}

/// The second word of `EVENTS 42 evt.*.*.* …`.
fn journal_sequence(source: &str) -> Option<u64> {
    source.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn text(message: &jetstream::Message, name: impl header::IntoHeaderName) -> Option<&str> {
    let headers: &HeaderMap = message.headers.as_ref()?;
    headers.get(name).map(async_nats::HeaderValue::as_str)
}

fn give<T: Serialize>(sink: &mut impl Sink, source: Source, value: &T) -> anyhow::Result<()> {
    sink.line(source, &serde_json::to_string(value)?)
}
