//! Live streams: events of the journal as they happen, by server-sent events.
#![expect(unused_qualifications, reason = "utoipa spells out the parameters' types")]

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State as Extracted,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use futures_util::stream;
use jetsaga::{
    Event, Recorded, State, Status,
    engine::{Entry, Feed, JournalInfo},
    subject::EntitySubject,
};
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Interval, interval},
};
use utoipa::IntoParams;

use crate::{
    app::{Gateway, stopped},
    counters::OneMore,
    hub::Followed,
    keys::{Caller, Operator},
    orders::none,
    path::{Id, Params},
    problem::{Code, Problem},
    shapes::WireEvent,
};

/// Where a stream begins.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct From {
    /// The sequence after which to begin, for clients that cannot send `Last-Event-ID`.
    after: Option<u64>,
}

/// A stream that is being read.
struct Live {
    app: Gateway,
    caller: Caller,
    /// The one entity that it is about; then it ends after an event that nothing can follow.
    entity: Option<EntitySubject>,
    /// What happened before, oldest first.
    past: VecDeque<Recorded<State>>,
    /// Reads what happened before, until the hub remembers the rest.
    catching_up: Option<Feed>,
    followed: Followed,
    /// The sequence that was shown last.
    shown: u64,
    ended: bool,
    stop: watch::Receiver<bool>,
    check: Interval,
    _slot: OwnedSemaphorePermit,
    _open: OneMore,
}

/// The part of a saga's state that says whether anything can follow.
#[derive(Deserialize)]
struct Standing {
    status: Status,
}

/// How often it is looked whether the reader still may read.
const CHECK: Duration = Duration::from_secs(1);
/// How often a comment is sent while nothing happens.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Follow an order
///
/// Every event of the order as server-sent events: `id` is the sequence in the journal, `data` the event. It begins with
/// the order's first event, or after `Last-Event-ID`; it ends after the final event, and 204 says that nothing is left
/// to hear.
#[utoipa::path(get, path = "/v1/orders/{id}/stream", tag = "orders",
    params(("id" = String, Path, description = "The order"), From,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that the client has")),
    responses((status = 200, description = "The events", body = WireEvent, content_type = "text/event-stream"),
        (status = 204, description = "The client has the final event")))]
pub(crate) async fn order(
    Extracted(app): Extracted<Gateway>,
    caller: Caller,
    Id(id): Id,
    Params(from): Params<From>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let slot = app.slot()?;
    let entity = app.order(&id);
    // Whatever is recorded while the past is read is heard as well.
    let followed = app.hub.follow();
    let past = app.journal.history::<State>(&entity).await;
    let past = past.map_err(|error| Problem::unavailable(&error))?;
    let last = past.last().ok_or_else(|| none(&id))?;
    let after = match begins(&headers, &from)? {
        Some(after) => after.min(last.sequence),
        None => match last.state.first_sequence {
            0 => last.sequence - 1, // it is the first itself
            first => first - 1,
        },
    };
    if last.state.is_final() && after == last.sequence {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let live = app.live(caller, slot, followed, after);
    Ok(live.of(entity, past.into()).response())
}

/// Follow everything
///
/// Every event of every entity, from now on or after `Last-Event-ID`.
#[utoipa::path(get, path = "/v1/stream", tag = "operators",
    params(From, ("Last-Event-ID" = Option<u64>, Header, description = "The last event that the client has")),
    responses((status = 200, description = "The events", body = WireEvent, content_type = "text/event-stream")))]
pub(crate) async fn everything(
    Extracted(app): Extracted<Gateway>,
    Operator(caller): Operator,
    Params(from): Params<From>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let slot = app.slot()?;
    let begins = begins(&headers, &from)?;
    let info = JournalInfo::read(&app.nats)
        .await
        .map_err(|error| Problem::unavailable(&error))?;
    let after = begins.unwrap_or(info.last);
    if after > info.last {
        let why = format!(
            "event {after} is ahead of the journal, which ends at {}",
            info.last
        );
        return Err(Problem::new(Code::InvalidHeader, why));
    }
    let Some(followed) = app.hub.follow_after(after) else {
        let feed = Feed::open(&app.nats, &[], after).await;
        let feed = feed.map_err(|error| Problem::unavailable(&error))?;
        let followed = app.hub.follow();
        return Ok(app.live(caller, slot, followed, after).after(feed).response());
    };
    Ok(app.live(caller, slot, followed, after).response())
}

fn begins(headers: &HeaderMap, from: &From) -> Result<Option<u64>, Problem> {
    let mut given = headers.get_all("last-event-id").iter();
    let Some(first) = given.next() else {
        return Ok(from.after);
    };
    let text = first
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let sequence = text
        .and_then(|text| text.parse().ok())
        .filter(|_| given.next().is_none());
    let why = "Last-Event-ID takes the id of an event of this stream, a whole number";
    sequence
        .map(Some)
        .ok_or_else(|| Problem::new(Code::InvalidHeader, why))
}

impl Gateway {
    fn slot(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.streams.clone().try_acquire_owned().map_err(|_| {
            let why = format!("{} streams are open here already", self.config.streams);
            Problem::new(Code::TooManyStreams, why)
        })
    }

    fn live(&self, caller: Caller, slot: OwnedSemaphorePermit, followed: Followed, shown: u64) -> Live {
        Live {
            app: self.clone(),
            caller,
            entity: None,
            past: VecDeque::new(),
            catching_up: None,
            followed,
            shown,
            ended: false,
            stop: self.stop.clone(),
            check: interval(CHECK),
            _slot: slot,
            _open: OneMore::of(&self.counters.streams),
        }
    }
}

impl Live {
    /// About one entity, with what happened to it before.
    fn of(self, entity: EntitySubject, past: VecDeque<Recorded<State>>) -> Self {
        Self {
            entity: Some(entity),
            past,
            ..self
        }
    }

    /// With what this feed gives first.
    fn after(self, feed: Feed) -> Self {
        Self {
            catching_up: Some(feed),
            ..self
        }
    }

    fn response(self) -> Response {
        let events = stream::unfold(self, async |mut live: Self| {
            let event = live.next().await?;
            Some((Ok::<_, Infallible>(event), live))
        });
        let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("nothing new");
        Sse::new(events).keep_alive(keep_alive).into_response()
    }

    /// The next event; `None` once the stream has ended, its reader is too far behind or may not read any more, or the
    /// gateway stops.
    async fn next(&mut self) -> Option<sse::Event> {
        while !self.ended {
            if let Some(past) = self.past.pop_front() {
                if past.sequence > self.shown {
                    return self.show(past.sequence, &past.event, past.state.status);
                }
                continue;
            }
            let entry = self.entry().await?;
            if entry.sequence <= self.shown || !self.is_about(&entry) {
                continue;
            }
            match told(&entry, self.entity.is_some()) {
                Ok((event, status)) => return self.show(entry.sequence, &event, status),
                Err(error) => tracing::warn!(sequence = entry.sequence, error, "an event cannot be shown"),
            }
        }
        None
    }

    /// The next event of the journal.
    async fn entry(&mut self) -> Option<Arc<Entry>> {
        loop {
            let entry = if let Some(feed) = &mut self.catching_up {
                tokio::select! {
                    entry = feed.next() => Arc::new(entry),
                    () = stopped(&mut self.stop) => return None,
                    _ = self.check.tick() => { self.still_allowed()?; continue }
                }
            } else if let Some(entry) = self.followed.recent.pop_front() {
                entry
            } else {
                tokio::select! {
                    entry = self.followed.happening.recv() => entry.ok()?, // too far behind: the client comes back
                    () = stopped(&mut self.stop) => return None,
                    _ = self.check.tick() => { self.still_allowed()?; continue }
                }
            };
            if self.catching_up.is_some()
                && let Some(followed) = self.app.hub.follow_after(entry.sequence)
            {
                (self.followed, self.catching_up) = (followed, None);
            }
            return Some(entry);
        }
    }

    fn still_allowed(&self) -> Option<()> {
        self.app.keys.still(&self.caller).then_some(())
    }

    fn is_about(&self, entry: &Entry) -> bool {
        let Some(entity) = &self.entity else { return true };
        entry.entity().is_some_and(|(of, _)| of == *entity)
    }

    fn show(&mut self, sequence: u64, event: &Event<()>, status: Status) -> Option<sse::Event> {
        self.shown = sequence;
        self.ended = self.entity.is_some() && matches!(status, Status::Completed | Status::Cancelled);
        let shown = sse::Event::default().id(sequence.to_string());
        shown.json_data(event).ok()
    }
}

/// The event, and where its saga stands after it if it is one.
fn told(entry: &Entry, saga: bool) -> Result<(Event<()>, Status), String> {
    let heard = entry.heard().map_err(|error| error.to_string())?;
    let status = if saga {
        let standing: Result<Standing, _> = serde_json::from_str(heard.state.get());
        standing.map_err(|error| error.to_string())?.status
    } else {
        Status::Running
    };
    Ok((heard.event, status))
}
