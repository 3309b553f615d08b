//! What the read model shows: lists of orders, and revenue.
#![expect(unused_qualifications, reason = "utoipa spells out the parameters' types")]

use std::{fmt::Display, str::FromStr};

use axum::{
    Json,
    extract::State as Extracted,
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{IntoResponse, Response},
};
use readmodel::{
    Cursor, Day, Direction, NotYet, OrderFilter, OrderRow, Page, PageRequest, QueryError, ReadModel, Status,
};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::{
    app::Gateway,
    command::SEQUENCE,
    keys::{Caller, Operator},
    path::Params,
    problem::{Code, Problem},
    shapes::{OrderList, RevenueList},
};

/// Which orders.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only those that are `running`, `compensating`, `stuck`, `completed` or `cancelled`.
    status: Option<String>,
    /// Only those of this customer.
    customer: Option<String>,
    /// Only those placed at this time or later, by RFC 3339.
    from: Option<String>,
    /// Only those placed before this time, by RFC 3339.
    to: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// At most so many: 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `newest` first, or `oldest`.
    #[param(default = "newest")]
    order: Option<String>,
    /// Not before the list contains the event of this sequence.
    min_seq: Option<u64>,
}

/// Which days.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Days {
    /// The first day, such as `2026-11-24`; days are of UTC.
    from: Option<String>,
    /// The last day.
    to: Option<String>,
    /// Not before the list contains the event of this sequence.
    min_seq: Option<u64>,
}

/// Revenue by day.
#[derive(Serialize)]
struct Revenue {
    items: Vec<readmodel::RevenueRow>,
}

/// The header that asks for what is no older than an event.
const MIN_SEQUENCE: HeaderName = HeaderName::from_static("jetsaga-min-sequence");

/// Orders, page by page
///
/// Read from the read model, which follows the journal: `Jetsaga-Sequence` says how far it has come. With `min_seq` or
/// `Jetsaga-Min-Sequence` the answer waits for an event that the client knows of; 503 if it does not come in time.
#[utoipa::path(get, path = "/v1/orders", tag = "orders",
    params(Which, ("Jetsaga-Min-Sequence" = Option<u64>, Header, description = "The same as `min_seq`")),
    responses((status = 200, description = "One page", body = OrderList)))]
pub(crate) async fn orders(
    Extracted(app): Extracted<Gateway>,
    _: Caller,
    Params(which): Params<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = which.limit.unwrap_or(50);
    if !(1..=PageRequest::MOST).contains(&limit) {
        return Err(wrong(
            "limit",
            &format_args!("it is {limit}; it takes 1 to {}", PageRequest::MOST),
        ));
    }
    let order = match which.order.as_deref() {
        None | Some("newest") => Direction::Newest,
        Some("oldest") => Direction::Oldest,
        Some(other) => {
            return Err(wrong(
                "order",
                &format_args!("{other:?} is none; it takes newest or oldest"),
            ));
        }
    };
    let filter = OrderFilter {
        status: read::<Status>("status", which.status.as_deref())?,
        customer: read("customer", which.customer.as_deref())?,
        from: read("from", which.from.as_deref())?,
        to: read("to", which.to.as_deref())?,
    };
    let cursor = read::<Cursor>("cursor", which.cursor.as_deref())?;
    let model = app.read_model()?;
    let at = app.caught_up(model, which.min_seq, &headers).await?;
    let page = model.orders(&filter, &PageRequest { cursor, limit, order }).await;
    let page: Page<OrderRow> = page.map_err(|error| failed(&error))?;
    Ok(([(SEQUENCE, HeaderValue::from(at))], Json(page)).into_response())
}

/// Revenue by day
///
/// Read from the read model. Days on which nothing happened are left out.
#[utoipa::path(get, path = "/v1/revenue", tag = "operators",
    params(Days, ("Jetsaga-Min-Sequence" = Option<u64>, Header, description = "The same as `min_seq`")),
    responses((status = 200, description = "The days, oldest first", body = RevenueList)))]
pub(crate) async fn revenue(
    Extracted(app): Extracted<Gateway>,
    _: Operator,
    Params(days): Params<Days>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let from = read::<Day>("from", days.from.as_deref())?;
    let to = read::<Day>("to", days.to.as_deref())?;
    let model = app.read_model()?;
    let at = app.caught_up(model, days.min_seq, &headers).await?;
    let items = model.revenue(from, to).await.map_err(|error| failed(&error))?;
    Ok(([(SEQUENCE, HeaderValue::from(at))], Json(Revenue { items })).into_response())
}

impl Gateway {
    fn read_model(&self) -> Result<&ReadModel, Problem> {
        let why = "this gateway was started without a read model";
        self.model
            .as_ref()
            .ok_or_else(|| Problem::new(Code::NoReadModel, why))
    }

    /// Waits until the read model has come as far as the request wants, and says how far it has.
    async fn caught_up(
        &self,
        model: &ReadModel,
        min_seq: Option<u64>,
        headers: &HeaderMap,
    ) -> Result<u64, Problem> {
        let wanted = wanted(min_seq, headers)?;
        model
            .reached(wanted, self.config.read_limit)
            .await
            .map_err(|error| match error {
                NotYet::Behind { .. } => Problem::new(Code::NotCaughtUp, error.to_string()),
                NotYet::Unavailable(error) => failed(&error),
            })?;
        model.position().await.map_err(|error| failed(&error))
    }
}

/// The sequence that a request asks for, by parameter or by header; 0 if it asks for none.
fn wanted(min_seq: Option<u64>, headers: &HeaderMap) -> Result<u64, Problem> {
    let mut given = headers.get_all(MIN_SEQUENCE).iter();
    let Some(first) = given.next() else {
        return Ok(min_seq.unwrap_or(0));
    };
    let text = first
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let sequence: Option<u64> = text
        .and_then(|text| text.parse().ok())
        .filter(|_| given.next().is_none());
    let why = "Jetsaga-Min-Sequence takes the sequence of an event, a whole number";
    let sequence = sequence.ok_or_else(|| Problem::new(Code::InvalidHeader, why))?;
    Ok(sequence.max(min_seq.unwrap_or(0)))
}

fn read<T: FromStr>(name: &str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T::Err: Display,
{
    text.map(str::parse)
        .transpose()
        .map_err(|error| wrong(name, &error))
}

fn wrong(name: &str, why: &dyn Display) -> Problem {
    Problem::new(Code::InvalidQuery, format!("{name}: {why}"))
}

fn failed(error: &QueryError) -> Problem {
    tracing::warn!(%error, "the read model cannot be asked");
    Problem::new(
        Code::Unavailable,
        "the read model does not answer; the same request may succeed later",
    )
}
