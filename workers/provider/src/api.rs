use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;

use crate::answer::{KeyView, answer};
use crate::book::Totals;
use crate::desk::{Desk, Standing};
use crate::failures::{Change, Failures};
use crate::key::Key;
use crate::order::{self, Order};
use crate::refusal::Refusal;
use crate::wire::Cut;

/// The longest request body, in bytes.
const MAX_BODY: usize = 64 * 1024;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App {
    desk: Arc<Desk>,
    failures: Arc<Mutex<Failures>>,
    patience: Duration,
}

type Body = Result<Bytes, BytesRejection>;

impl App {
    /// Shares `desk`. `patience` is how long a request waits for another one under
    /// the same key.
    pub(crate) fn new(desk: Arc<Desk>, failures: Failures, patience: Duration) -> Self {
        Self {
            desk,
            failures: Arc::new(Mutex::new(failures)),
            patience,
        }
    }

    /// Every address the provider answers at.
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/v1/charges", post(charge))
            .route("/v1/refunds", post(refund))
            .route("/v1/keys/{key}", get(look_up))
            .route("/v1/keys/{key}/settle", post(settle))
            .route("/v1/ledger", get(ledger))
            .route("/v1/totals", get(totals))
            .route("/v1/admin/failures", get(read_failures).post(change_failures))
            .route("/livez", get(|| async { "ok" }))
            .fallback(|| async { Refusal::NotFound })
            .method_not_allowed_fallback(|| async { Refusal::MethodNotAllowed })
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(self)
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings a request to its outcome, with what is to go wrong on the way.
    async fn submit(self, cut: Cut, headers: &HeaderMap, order: Order) -> Result<Response, Refusal> {
        let wish = crate::wish::Wish::of(headers, &order)?;
        let attempt = self.desk.attempt(order.key());
        let plan = self.failures().plan(order.key(), attempt, &wish);
        if plan.fails {
            return Err(Refusal::Simulated);
        }
        // A task of its own: a client which goes away must not stop its charge.
        let fulfilled = tokio::spawn(async move {
            self.desk
                .fulfil(&order, plan.declines, plan.delay, self.patience)
                .await
        });
        let done = fulfilled.await.map_err(|_| Refusal::Internal)??;
        if plan.loses_answer(done.replayed) {
            cut.sever();
        }
        let mut response = answer(&done.entry);
        if done.replayed {
            response
                .headers_mut()
                .insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }
}

async fn charge(
    State(app): State<App>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let order = Order::charge(Key::of_request(&headers)?, &whole(body)?)?;
    app.submit(cut, &headers, order).await
}

async fn refund(
    State(app): State<App>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let order = Order::refund(Key::of_request(&headers)?, &whole(body)?)?;
    app.submit(cut, &headers, order).await
}

async fn look_up(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let key = key_in(path)?;
    match app.desk.look_up(&key) {
        Some(Standing::Final(entry)) => Ok(Json(KeyView::of(&entry)).into_response()),
        Some(Standing::InFlight) => Ok(Json(KeyView::in_flight(&key)).into_response()),
        None => Err(Refusal::NoSuchKey(key)),
    }
}

async fn settle(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let entry = app.desk.settle(&key_in(path)?)?;
    Ok(Json(KeyView::of(&entry)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn ledger(
    State(app): State<App>,
    query: Result<Query<After>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(After { after }) = query.map_err(|error| Refusal::InvalidRequest(error.body_text()))?;
    let mut lines = Vec::new();
    for entry in app.desk.entries_after(after) {
        serde_json::to_writer(&mut lines, &*entry).map_err(|_| Refusal::Internal)?;
        lines.push(b'\n');
    }
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

async fn totals(State(app): State<App>) -> Json<Totals> {
    Json(app.desk.totals())
}

async fn read_failures(State(app): State<App>) -> Json<Failures> {
    Json(*app.failures())
}

async fn change_failures(State(app): State<App>, body: Body) -> Result<Json<Failures>, Refusal> {
    let change: Change = order::parse(&whole(body)?)?;
    let mut failures = app.failures();
    *failures = failures
        .with(&change)
        .map_err(|wrong| Refusal::InvalidRequest(wrong.to_string()))?;
    tracing::info!(failures = ?*failures, "failures changed");
    Ok(Json(*failures))
}

fn whole(body: Body) -> Result<Bytes, Refusal> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::BodyTooLarge,
        _ => Refusal::UnreadableBody(rejection.body_text()),
    })
}

fn key_in(path: Result<Path<String>, PathRejection>) -> Result<Key, Refusal> {
    let Path(text) = path.map_err(|_| Refusal::InvalidKey)?;
    Key::parse(&text)
}
