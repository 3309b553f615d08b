//! Orders: place, take back, look at.
#![expect(unused_qualifications, reason = "utoipa spells out the parameters' types")]

use axum::{
    extract::State as Extracted,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use checkout::{Checkout, order::accept};
use jetsaga::{
    Event, Freshness, Payload, Recorded, Saga as _, State, Status, Timestamp, Token,
    saga::{OwnerAction, OwnerTrigger, decide_owner},
    subject::EntitySubject,
};
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::Gateway,
    body::{JsonText, MaybeJson},
    command::{Accepted, Command, SEQUENCE},
    context::Context,
    keys::Caller,
    moment::moment,
    path::{Id, Params},
    problem::{Code, Problem},
    requests::MaybeKey,
    shapes::{NewOrder, OrderState, WireEvent},
};

/// An order after one of its events.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderView {
    /// Which one.
    #[schema(value_type = String, example = "ORD-987654")]
    order_id: Token,
    /// `running`, `compensating`, `completed` or `cancelled`; the last two are final.
    #[schema(value_type = String, example = "completed")]
    status: Status,
    /// True while a step makes no progress within its limits.
    stuck: bool,
    /// Why it was turned to compensation, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The sequence in the journal of the event that this is the state after.
    sequence: u64,
    /// When that event was stored.
    #[schema(value_type = String, format = DateTime)]
    stored_at: Timestamp,
    /// Everything that is known of it.
    #[schema(value_type = OrderState)]
    state: State,
}

/// Everything that happened to one entity, oldest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HistoryView {
    /// Which one.
    #[schema(value_type = String, example = "ORD-987654")]
    pub(crate) id: Token,
    /// Its events.
    pub(crate) events: Vec<HistoryEvent>,
}

/// An event of a history.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HistoryEvent {
    /// Its sequence in the journal.
    sequence: u64,
    /// When the server stored it.
    #[schema(value_type = String, format = DateTime)]
    stored_at: Timestamp,
    /// The event, without the state after it.
    #[schema(value_type = WireEvent)]
    event: Event<()>,
}

/// How an order is looked at.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Look {
    /// The order as it was: a time (RFC 3339) or `seq:<n>`, the journal's sequence; as it is now without.
    #[param(example = "seq:17")]
    as_of: Option<String>,
}

/// Why an order is taken back.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Cancellation {
    /// In a sentence of at most 200 characters.
    #[serde(default)]
    #[schema(example = "ordered by mistake")]
    reason: Option<String>,
}

/// The payload of a cancellation.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CancellationPayload<'a> {
    order_id: &'a Token,
    reason: &'a str,
}

const MAX_REASON: usize = 200;
/// What stands for the order's id while there is none.
const NO_ID: &str = "-";

/// Place an order
///
/// The order is kept before this answers; what becomes of it is told by its stream. Without `orderId` the gateway
/// makes one. Under an `Idempotency-Key` the same order is placed once, however often it is sent.
#[utoipa::path(post, path = "/v1/orders", tag = "orders", request_body = NewOrder,
    params(("Idempotency-Key" = Option<String>, Header, description = "A text of the client's own that names this request for 48 hours")),
    responses((status = 202, description = "It is kept", body = Accepted)))]
pub(crate) async fn place(
    Extracted(app): Extracted<Gateway>,
    caller: Caller,
    context: Context,
    MaybeKey(key): MaybeKey,
    body: JsonText,
) -> Result<Response, Problem> {
    let named = body.read::<Named>()?.order_id;
    let text = if named { body.0 } else { with_id(&body.0) };
    let payload: Payload = serde_json::from_str(&text).map_err(|error| Problem::internal(&error))?;
    let invalid = |why: &dyn std::fmt::Display| Problem::new(Code::Invalid, why.to_string());
    let mut order = accept(&payload).map_err(|error| invalid(&error))?;
    let spelled = Payload::of(&order).map_err(|error| Problem::internal(&error))?;
    let command = Command {
        what: "place",
        event_type: "OrderCreated",
        content: spelled.text().to_owned(),
        id: named.then(|| order.order_id.clone()),
    };
    let answer = app.command(&caller, &context, key, command, |id| {
        order.order_id = id.clone();
        Payload::of(&order).map_err(|error| Problem::internal(&error))
    });
    answer.await
}

/// Take an order back
///
/// What was done is undone, dependents first. It is too late once shipping has begun.
#[utoipa::path(post, path = "/v1/orders/{id}/cancel", tag = "orders", request_body = Option<Cancellation>,
    params(("id" = String, Path, description = "The order"),
        ("Idempotency-Key" = Option<String>, Header, description = "A text of the client's own that names this request for 48 hours")),
    responses((status = 202, description = "It is being taken back", body = Accepted)))]
pub(crate) async fn cancel(
    Extracted(app): Extracted<Gateway>,
    caller: Caller,
    context: Context,
    MaybeKey(key): MaybeKey,
    Id(id): Id,
    MaybeJson(body): MaybeJson,
) -> Result<Response, Problem> {
    let given = body.map(|body| body.read::<Cancellation>()).transpose()?;
    let reason = given
        .and_then(|given| given.reason)
        .unwrap_or_else(|| "cancelled on request".to_owned());
    if reason.chars().count() > MAX_REASON || reason.chars().any(char::is_control) {
        let why = format!("reason takes at most {MAX_REASON} characters and no control characters");
        return Err(Problem::new(Code::Invalid, why));
    }
    let found = app
        .journal
        .last::<State>(&app.order(&id), Freshness::Leader)
        .await;
    let found = found
        .map_err(|error| Problem::unavailable(&error))?
        .ok_or_else(|| none(&id))?;
    let state = &found.state;
    let nothing = decide_owner(&app.plan, state, OwnerTrigger::Cancellation) == OwnerAction::Nothing;
    if nothing && state.turned.is_none() {
        let why = format!(
            "{id} is {} and can only go forward; it was not cancelled",
            state.status
        );
        return Err(Problem::new(Code::TooLate, why));
    }
    let command = Command {
        what: "cancel",
        event_type: Checkout::CANCELLATION_REQUESTED,
        content: format!("{id}\n{reason}"),
        id: Some(id),
    };
    let answer = app.command(&caller, &context, key, command, |id| {
        let payload = CancellationPayload {
            order_id: id,
            reason: &reason,
        };
        Payload::of(&payload).map_err(|error| Problem::internal(&error))
    });
    answer.await
}

/// One order
///
/// Read from the journal's leader: no older than anything that was answered before. The `ETag` is its sequence.
#[utoipa::path(get, path = "/v1/orders/{id}", tag = "orders",
    params(("id" = String, Path, description = "The order"), Look),
    responses((status = 200, description = "The order", body = OrderView), (status = 304, description = "Not changed since `If-None-Match`")))]
pub(crate) async fn get(
    Extracted(app): Extracted<Gateway>,
    _: Caller,
    Id(id): Id,
    Params(look): Params<Look>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entity = app.order(&id);
    let found = match &look.as_of {
        None => app.journal.last::<State>(&entity, Freshness::Leader).await,
        Some(as_of) => app.journal.as_of(&entity, moment(as_of)?).await,
    };
    let found = found.map_err(|error| Problem::unavailable(&error))?;
    let found = found.ok_or_else(|| match &look.as_of {
        None => none(&id),
        Some(as_of) => Problem::new(Code::NotFound, format!("there was no order {id} at {as_of}")),
    })?;
    let sequence = found.sequence;
    tagged(sequence, &headers, OrderView::of(id, found))
}

/// What happened to an order
#[utoipa::path(get, path = "/v1/orders/{id}/history", tag = "orders",
    params(("id" = String, Path, description = "The order")),
    responses((status = 200, description = "Its events, oldest first", body = HistoryView)))]
pub(crate) async fn history(
    Extracted(app): Extracted<Gateway>,
    _: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let history = app.journal.history::<IgnoredAny>(&app.order(&id)).await;
    let history = history.map_err(|error| Problem::unavailable(&error))?;
    let last = history
        .last()
        .map(|event| event.sequence)
        .ok_or_else(|| none(&id))?;
    tagged(
        last,
        &headers,
        HistoryView {
            id,
            events: history.into_iter().map(Into::into).collect(),
        },
    )
}

/// `body`, whose version is a sequence of the journal; 304 if the client has this one.
pub(crate) fn tagged(sequence: u64, headers: &HeaderMap, body: impl Serialize) -> Result<Response, Problem> {
    let tag = format!("\"{sequence}\"");
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut known = known.map(|tag| tag.trim().trim_start_matches("W/"));
    let mut answer = if known.any(|known| known == tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        axum::Json(body).into_response()
    };
    let tag = HeaderValue::from_str(&tag).map_err(|error| Problem::internal(&error))?;
    answer.headers_mut().insert(header::ETAG, tag);
    answer.headers_mut().insert(SEQUENCE, HeaderValue::from(sequence));
    Ok(answer)
}

/// There is no such order.
pub(crate) fn none(id: &Token) -> Problem {
    Problem::new(Code::NotFound, format!("there is no order {id}"))
}

impl Gateway {
    /// The subjects of an order.
    pub(crate) fn order(&self, id: &Token) -> EntitySubject {
        EntitySubject::new(&self.plan.saga, id)
    }
}

impl OrderView {
    fn of(order_id: Token, found: Recorded<State>) -> Self {
        let stuck = found.state.stuck().next().is_some();
        Self {
            order_id,
            status: found.state.status,
            stuck,
            reason: found.state.turned.as_ref().map(|turn| turn.reason.clone()),
            sequence: found.sequence,
            stored_at: found.stored_at,
            state: found.state,
        }
    }
}

impl<S> From<Recorded<S>> for HistoryEvent {
    fn from(recorded: Recorded<S>) -> Self {
        Self {
            sequence: recorded.sequence,
            stored_at: recorded.stored_at,
            event: recorded.event,
        }
    }
}

/// Whether an order names itself.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "orderId", default, deserialize_with = "present")]
    order_id: bool,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// The text of an object, with an order id before everything else.
fn with_id(object: &str) -> String {
    let inside = object.trim_ascii_start().strip_prefix('{').unwrap_or_default();
    let comma = if inside.trim_ascii_start().starts_with('}') {
        ""
    } else {
        ","
    };
    format!(r#"{{"orderId":"{NO_ID}"{comma}{inside}"#)
}
