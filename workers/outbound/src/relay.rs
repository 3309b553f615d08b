use std::{fmt::Display, pin::pin, time::Duration};

use async_nats::{
    HeaderValue, header,
    jetstream::{
        context::{PublishAckFuture, PublishErrorKind},
        stream::LastRawMessageErrorKind,
    },
};
use futures_util::{StreamExt as _, stream::FuturesOrdered};
use jetsaga::{
    Entry, Feed, Nats, Service, Token, anyhow,
    subject::{OUTBOUND, events_of_kind},
};
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use tokio::{sync::watch, time::timeout};

use crate::message::{SEQUENCE, message};

/// Relays the events of some kinds to the stream `OUTBOUND`, see the crate's page.
#[derive(Debug)]
pub struct Relay {
    kinds: Vec<Token>,
}

/// Why a relay has to look where it stands.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    /// Another replica told something.
    #[error("another replica tells outsiders")]
    Overtaken,
    /// The server did not answer, or refuses.
    #[error("outsiders cannot be told: {0}")]
    Unavailable(String),
}

/// Where a relay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    /// The sequence of the last message of `OUTBOUND`.
    told: u64,
    /// The journal sequence that it came from.
    of: u64,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    told: Counter,
    unfit: Counter,
    overtaken: Counter,
    behind: Gauge,
    position: Gauge,
}

/// Messages published and not answered.
const WINDOW: usize = 256;
/// How long a replica that was overtaken looks on before it takes its turn, and how often.
const STANDBY: Duration = Duration::from_secs(2);

impl Relay {
    /// A relay of these kinds.
    pub const fn new(kinds: Vec<Token>) -> Self {
        Self { kinds }
    }

    /// Relays from where the stream says that it stands, until `stop`, or until something goes wrong.
    async fn relay(
        &self,
        nats: &Nats,
        counts: &Counts,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), RelayError> {
        let start = position(nats).await?;
        let filters: Vec<String> = self.kinds.iter().map(events_of_kind).collect();
        let feed = Feed::open(nats, &filters, start.of).await;
        let mut feed = feed.map_err(|error| unavailable(&error))?;
        let (mut told, mut sent) = (start.told, FuturesOrdered::new());
        let mut stopped = pin!(async { drop(stop.wait_for(|stop| *stop).await) });
        loop {
            tokio::select! {
                () = &mut stopped => break,
                Some(answer) = sent.next() => counts.count(answer?),
                entries = feed.batch(WINDOW), if sent.len() < WINDOW => for entry in entries {
                    if let Some(answer) = send(nats, &entry, told, counts).await? {
                        told += 1;
                        sent.push_back(async move { answered(answer, &entry).await });
                    }
                },
            }
        }
        while let Some(answer) = sent.next().await {
            counts.count(answer?);
        }
        Ok(())
    }
}

impl Service for Relay {
    async fn run(self, nats: Nats, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        let counts = Counts::default();
        nats.metrics.extend(|registry| counts.register(registry));
        let _serving = nats.metrics.serving();
        while !*stop.borrow() {
            match self.relay(&nats, &counts, &mut stop).await {
                Ok(()) => {}
                Err(RelayError::Overtaken) => {
                    counts.overtaken.inc();
                    stand_by(&nats, &mut stop).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "trying again");
                    rest(&mut stop).await;
                }
            }
        }
        Ok(())
    }
}

/// Looks on while another replica tells outsiders; returns when nothing was told for a while.
async fn stand_by(nats: &Nats, stop: &mut watch::Receiver<bool>) {
    let mut before = position(nats).await.ok();
    while !*stop.borrow() {
        rest(stop).await;
        let now = position(nats).await.ok();
        if now == before {
            return;
        }
        before = now;
    }
}

async fn rest(stop: &mut watch::Receiver<bool>) {
    let _ = timeout(STANDBY, stop.wait_for(|stop| *stop)).await; // either will do
}

/// Where the stream says that the relay stands, by its leader.
async fn position(nats: &Nats) -> Result<Position, RelayError> {
    let stream = nats.jetstream.get_stream(OUTBOUND).await;
    let stream = stream.map_err(|error| unavailable(&error))?;
    let last = match stream.get_last_raw_message_by_subject("out.>").await {
        Ok(last) => last,
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
            let told = stream.cached_info().state.last_sequence;
            return Ok(Position { told, of: 0 });
        }
        Err(error) => return Err(unavailable(&error)),
    };
    let of = last.headers.get(SEQUENCE).map(HeaderValue::as_str);
    let of = of.and_then(|of| of.parse().ok()).ok_or_else(|| {
        unavailable(&format_args!(
            "message {} of {OUTBOUND} has no header {SEQUENCE}, so no relay wrote it",
            last.sequence
        ))
    })?;
    Ok(Position {
        told: last.sequence,
        of,
    })
}

/// Publishes what outsiders hear of `entry`, as the message after `told`; `None` if they hear nothing.
async fn send(
    nats: &Nats,
    entry: &Entry,
    told: u64,
    counts: &Counts,
) -> Result<Option<PublishAckFuture>, RelayError> {
    let (subject, mut headers, body) = match message(entry) {
        Ok(message) => message,
        Err(unfit) => {
            tracing::warn!(%unfit, "left out");
            counts.unfit.inc();
            return Ok(None);
        }
    };
    headers.insert(header::NATS_EXPECTED_LAST_SEQUENCE, HeaderValue::from(told));
    let sent = nats.jetstream.publish_with_headers(subject, headers, body).await;
    sent.map(Some).map_err(|error| unavailable(&error))
}

async fn answered(answer: PublishAckFuture, entry: &Entry) -> Result<(u64, u64), RelayError> {
    match answer.await {
        Ok(_) => Ok((entry.sequence, entry.pending)),
        Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Err(RelayError::Overtaken),
        Err(error) => Err(unavailable(&error)),
    }
}

fn unavailable(why: &dyn Display) -> RelayError {
    RelayError::Unavailable(why.to_string())
}

impl Counts {
    fn count(&self, (sequence, pending): (u64, u64)) {
        self.told.inc();
        self.position.set(i64::try_from(sequence).unwrap_or(i64::MAX));
        self.behind.set(i64::try_from(pending).unwrap_or(i64::MAX));
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "outbound_told",
            "Events that outsiders were told",
            self.told.clone(),
        );
        registry.register("outbound_unfit", "Events that were left out", self.unfit.clone());
        registry.register(
            "outbound_overtaken",
            "Times that another replica was first",
            self.overtaken.clone(),
        );
        registry.register(
            "outbound_position",
            "Journal sequence told last",
            self.position.clone(),
        );
        registry.register(
            "outbound_behind",
            "Events to be told after the last one",
            self.behind.clone(),
        );
    }
}
