//! Customers: create, change, look at, forget.
#![expect(unused_qualifications, reason = "utoipa spells out the parameters' types")]

use axum::{
    extract::State as Extracted,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use customer::{Customer, CustomerCommand, NewCustomer};
use jetsaga::{Aggregate as _, EventId, Expected, Token};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    app::Gateway,
    body::JsonText,
    customer_commands::{Order, anybody, came_to_nothing, changed, created, expected, none, refused},
    customer_views::{Change, Changed, CustomerHistory, CustomerView, Newcomer},
    keys::{Caller, Operator},
    moment::moment,
    orders::tagged,
    path::{Id, Params},
    problem::{Code, Problem},
    requests::MaybeKey,
};

/// How a customer is looked at.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Look {
    /// The customer as they were, but for what was erased since: a time (RFC 3339) or `seq:<n>`, the journal's sequence.
    #[param(example = "seq:17")]
    as_of: Option<String>,
}

/// Which events.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Only events with a smaller sequence.
    before: Option<u64>,
    /// At most so many: 1 to 200.
    #[serde(default = "fifty")]
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: usize,
}

/// Create a customer
#[utoipa::path(post, path = "/v1/customers", tag = "customers", request_body = Newcomer,
    params(("Idempotency-Key" = Option<String>, Header, description = "A text of the client's own that names this request for 48 hours")),
    responses((status = 201, description = "They are one", body = Changed)))]
pub(crate) async fn create(
    Extracted(app): Extracted<Gateway>,
    caller: Caller,
    MaybeKey(key): MaybeKey,
    body: JsonText,
) -> Result<Response, Problem> {
    let given: Newcomer = body.read()?;
    let content = serde_json::to_string(&given).map_err(|error| Problem::internal(&error))?;
    let Newcomer {
        customer_id,
        name,
        email,
        address,
    } = given;
    let command = CustomerCommand::Create(NewCustomer { name, email, address });
    let shape = customer_id.clone().map_or_else(|| Token::new("-"), Ok);
    let shape = shape.map_err(|error| Problem::internal(&error))?;
    Customer::decide(None, &shape, &command).map_err(|refusal| refused(&refusal))?;
    let ours = Order {
        what: "create-customer",
        id: customer_id,
        expected: Expected::Any,
        command,
    };
    app.change(&caller, key, &content, ours, created).await
}

/// Change a customer
///
/// Only the customer that `If-Match` names: the `ETag` of what was read, or of the last change.
#[utoipa::path(patch, path = "/v1/customers/{id}", tag = "customers", request_body = Change,
    params(("id" = String, Path, description = "The customer"),
        ("If-Match" = String, Header, description = "The `ETag` of what is changed; `*` changes whatever is there"),
        ("Idempotency-Key" = Option<String>, Header, description = "A text of the client's own that names this request for 48 hours")),
    responses((status = 200, description = "It is changed", body = Changed)))]
pub(crate) async fn change(
    Extracted(app): Extracted<Gateway>,
    caller: Caller,
    MaybeKey(key): MaybeKey,
    Id(id): Id,
    headers: HeaderMap,
    body: JsonText,
) -> Result<Response, Problem> {
    let why = "it takes If-Match with the ETag of what is changed";
    let expected = expected(&headers)?.ok_or_else(|| Problem::new(Code::PreconditionRequired, why))?;
    let given: Change = body.read()?;
    let content = serde_json::to_string(&given).map_err(|error| Problem::internal(&error))?;
    let Change { address, email } = given;
    let command = CustomerCommand::Change { address, email };
    Customer::decide(Some(&anybody(&id)), &id, &command).map_err(|refusal| refused(&refusal))?;
    let content = format!("{id}\n{expected:?}\n{content}");
    let ours = Order {
        what: "change-customer",
        id: Some(id),
        expected,
        command,
    };
    app.change(&caller, key, &content, ours, changed).await
}

/// One customer
///
/// Read from the journal's leader. The `ETag` is its sequence.
#[utoipa::path(get, path = "/v1/customers/{id}", tag = "customers",
    params(("id" = String, Path, description = "The customer"), Look),
    responses((status = 200, description = "The customer", body = CustomerView), (status = 304, description = "Not changed since `If-None-Match`")))]
pub(crate) async fn get(
    Extracted(app): Extracted<Gateway>,
    _: Caller,
    Id(id): Id,
    Params(look): Params<Look>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = match &look.as_of {
        None => app.customers.load(&id).await,
        Some(as_of) => app.customers.as_of(&id, moment(as_of)?).await,
    };
    let found = found.map_err(|error| Problem::unavailable(&error))?;
    let found = found.ok_or_else(|| match &look.as_of {
        None => none(&id),
        Some(as_of) => Problem::new(Code::NotFound, format!("there was no customer {id} at {as_of}")),
    })?;
    tagged(found.sequence, &headers, CustomerView::of(found))
}

/// What happened to a customer
#[utoipa::path(get, path = "/v1/customers/{id}/history", tag = "customers",
    params(("id" = String, Path, description = "The customer"), Page),
    responses((status = 200, description = "Their events, newest first", body = CustomerHistory)))]
pub(crate) async fn history(
    Extracted(app): Extracted<Gateway>,
    _: Caller,
    Id(id): Id,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    if !(1..=200).contains(&page.limit) {
        let why = format!("limit is {}; it takes 1 to 200", page.limit);
        return Err(Problem::new(Code::InvalidQuery, why));
    }
    let found = app.customers.history(&id, page.before, page.limit + 1).await;
    let mut found = found.map_err(|error| Problem::unavailable(&error))?;
    if found.is_empty() && page.before.is_none() {
        return Err(none(&id));
    }
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|event| event.sequence);
    let events = found.into_iter().map(Into::into).collect();
    Ok(axum::Json(CustomerHistory { id, events, next }).into_response())
}

/// Forget a customer
///
/// What is personal can be read by nobody from then on, in events of any age.
#[utoipa::path(delete, path = "/v1/customers/{id}", tag = "operators",
    params(("id" = String, Path, description = "The customer"), ("If-Match" = Option<String>, Header, description = "Only if this is their `ETag`")),
    responses((status = 200, description = "They are forgotten", body = Changed)))]
pub(crate) async fn erase(
    Extracted(app): Extracted<Gateway>,
    _: Operator,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let expected = expected(&headers)?.unwrap_or(Expected::Any);
    let command = EventId::derived("customer", id.as_str(), "erase");
    let erased = app
        .customers
        .execute(&id, expected, command, &CustomerCommand::Erase)
        .await;
    let erased = erased.map_err(|error| came_to_nothing(&error))?;
    changed(id, Some(erased.sequence))
}

const fn fifty() -> usize {
    50
}
