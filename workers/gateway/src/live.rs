//! Live streams: events of the journal as they happen, by server-sent events.
#![expect(unused_qualifications, reason = "utoipa spells out the parameters' types")]

use std::{convert::Infallible, time::Duration};

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
    Freshness, State, Status,
    engine::{Entry, Feed, JournalInfo},
};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa::IntoParams;

use crate::{
    app::{Gateway, stopped},
    counters::OneMore,
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
    feed: Feed,
    stop: watch::Receiver<bool>,
    /// True if it ends after an event that nothing can follow.
    finite: bool,
    ended: bool,
    _slot: OwnedSemaphorePermit,
    _open: OneMore,
}

/// The part of a saga's state that says whether anything can follow.
#[derive(Deserialize)]
struct Standing {
    status: Status,
}

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
    _: Caller,
    Id(id): Id,
    Params(from): Params<From>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entity = app.order(&id);
    let last = app.journal.last::<State>(&entity, Freshness::Leader).await;
    let last = last
        .map_err(|error| Problem::unavailable(&error))?
        .ok_or_else(|| none(&id))?;
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
    app.live(&[entity.guard()], after, true).await
}

/// Follow everything
///
/// Every event of every entity, from now on or after `Last-Event-ID`.
#[utoipa::path(get, path = "/v1/stream", tag = "operators",
    params(From, ("Last-Event-ID" = Option<u64>, Header, description = "The last event that the client has")),
    responses((status = 200, description = "The events", body = WireEvent, content_type = "text/event-stream")))]
pub(crate) async fn everything(
    Extracted(app): Extracted<Gateway>,
    _: Operator,
    Params(from): Params<From>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
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
    app.live(&[], after, false).await
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
    async fn live(&self, filters: &[String], after: u64, finite: bool) -> Result<Response, Problem> {
        let slot = self.streams.clone().try_acquire_owned().map_err(|_| {
            let why = format!("{} streams are open here already", self.config.streams);
            Problem::new(Code::TooManyStreams, why)
        })?;
        let feed = Feed::open(&self.nats, filters, after).await;
        let live = Live {
            feed: feed.map_err(|error| Problem::unavailable(&error))?,
            stop: self.stop.clone(),
            finite,
            ended: false,
            _slot: slot,
            _open: OneMore::of(&self.counters.streams),
        };
        let events = stream::unfold(live, async |mut live: Live| {
            let event = live.next().await?;
            Some((Ok::<_, Infallible>(event), live))
        });
        let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("nothing new");
        Ok(Sse::new(events).keep_alive(keep_alive).into_response())
    }
}

impl Live {
    /// The next event; `None` once the stream has ended, or the gateway stops.
    async fn next(&mut self) -> Option<sse::Event> {
        while !self.ended {
            let entry = tokio::select! {
                entry = self.feed.next() => entry,
                () = stopped(&mut self.stop) => return None,
            };
            match self.told(&entry) {
                Ok(event) => return Some(event),
                Err(error) => tracing::warn!(sequence = entry.sequence, error, "an event cannot be shown"),
            }
        }
        None
    }

    fn told(&mut self, entry: &Entry) -> Result<sse::Event, String> {
        let heard = entry.heard().map_err(|error| error.to_string())?;
        if self.finite {
            let standing: Result<Standing, _> = serde_json::from_str(heard.state.get());
            let status = standing.map_err(|error| error.to_string())?.status;
            self.ended = matches!(status, Status::Completed | Status::Cancelled);
        }
        let event = sse::Event::default().id(entry.sequence.to_string());
        event.json_data(&heard.event).map_err(|error| error.to_string())
    }
}
