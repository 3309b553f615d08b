//! Customers: create, change, look at, forget.
#![expect(unused_qualifications, reason = "utoipa spells out the parameters' types")]

use axum::{
    extract::State as Extracted,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use checkout::Address;
use customer::{Customer, CustomerCommand, CustomerError, CustomerRefusal, CustomerVersion, NewCustomer};
use jetsaga::{Aggregate as _, CommandError, EventId, Expected, Personal, Timestamp, Token, VaultError};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    app::Gateway,
    body::JsonText,
    command::SEQUENCE,
    keys::{Caller, Operator},
    moment::moment,
    orders::{HistoryEvent, tagged},
    path::{Id, Params},
    problem::{Code, Problem},
    requests::{Answer, Begun, MaybeKey, RequestKey, fingerprint},
    shapes::PostalAddress,
};

/// Who becomes a customer.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"name": "Ada", "email": "ada@example.org", "address": {"street": "123 Main St", "city": "Anytown", "zip": "12345"}}))]
pub(crate) struct Newcomer {
    /// 1 to 64 characters of A-Z a-z 0-9 _ -; made by the gateway if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    customer_id: Option<Token>,
    /// What they are called: 1 to 200 characters.
    name: String,
    /// Where they are written to.
    #[schema(format = Email, max_length = 254)]
    email: String,
    /// Where they live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PostalAddress>)]
    address: Option<Address>,
}

/// What changes: an address or an email, not both.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.com"}))]
pub(crate) struct Change {
    /// Where they live now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PostalAddress>)]
    address: Option<Address>,
    /// Where they are written to now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

/// A customer who was created, changed or forgotten.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"customerId": "CUST-12345", "sequence": 18}))]
pub(crate) struct Changed {
    /// The customer.
    #[schema(value_type = String)]
    customer_id: Token,
    /// The sequence of the event in the journal: the `ETag` of the customer after it.
    sequence: u64,
}

/// A customer after one of their events. What is erased is `null`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CustomerView {
    /// Which customer.
    #[schema(value_type = String)]
    customer_id: Token,
    /// What they are called.
    name: Option<String>,
    /// Where they are written to.
    email: Option<String>,
    /// Where they live.
    #[schema(value_type = Option<PostalAddress>)]
    address: Option<Address>,
    /// True once they are forgotten.
    erased: bool,
    /// How many events they have.
    events: u64,
    /// The sequence in the journal of the event that this is the state after.
    sequence: u64,
    /// When that event was stored.
    #[schema(value_type = String, format = DateTime)]
    stored_at: Timestamp,
}

/// What happened to a customer, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CustomerHistory {
    /// Which customer.
    #[schema(value_type = String)]
    id: Token,
    /// Their events.
    events: Vec<HistoryEvent>,
    /// `before` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

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

/// What is to be done to a customer.
struct Order {
    what: &'static str,
    id: Option<Token>,
    expected: Expected,
    command: CustomerCommand,
}

impl Gateway {
    /// Does it, once under one key, and says what became of it.
    async fn change(
        &self,
        caller: &Caller,
        key: Option<RequestKey>,
        content: &str,
        order: Order,
        said: fn(Token, Option<u64>) -> Result<Response, Problem>,
    ) -> Result<Response, Problem> {
        let claim = match &key {
            None => None,
            Some(key) => match self
                .requests
                .begin(&caller.name, key, &fingerprint(order.what, content))
                .await?
            {
                Begun::Answered(answer) => return answer.response(said),
                Begun::Ours(claim) => Some(claim),
            },
        };
        let made = |what| {
            claim
                .as_ref()
                .map_or_else(|| EventId::new(Uuid::new_v4()), |claim| claim.derived(what))
        };
        let id = match order.id {
            Some(id) => id,
            None => Token::new(&format!("CUST-{}", made("id"))).map_err(|error| Problem::internal(&error))?,
        };
        let done = self
            .customers
            .execute(&id, order.expected, made(order.what), &order.command)
            .await;
        let answer = match done {
            Ok(done) => Answer::Accepted {
                id,
                sequence: done.sequence,
            },
            Err(error) => final_no(&error).ok_or_else(|| came_to_nothing(&error))?,
        };
        if let Some(claim) = claim {
            self.requests.end(claim, &answer).await;
        }
        answer.response(said)
    }
}

/// What will be answered to the same request for ever.
fn final_no(error: &CustomerError) -> Option<Answer> {
    let detail = error.to_string();
    match error {
        CommandError::Refused(CustomerRefusal::Exists(_) | CustomerRefusal::Erased(_))
        | CommandError::Vault(VaultError::Erased(_)) => Some(Answer::Conflict { detail }),
        CommandError::Refused(CustomerRefusal::Invalid(_) | CustomerRefusal::TwoChanges) => {
            Some(Answer::Invalid { detail })
        }
        _ => None,
    }
}

fn came_to_nothing(error: &CustomerError) -> Problem {
    match error {
        CommandError::Refused(refusal) => refused(refusal),
        CommandError::Stale { .. } => Problem::new(Code::Stale, error.to_string()),
        CommandError::Vault(VaultError::Erased(_)) => Problem::new(Code::Conflict, error.to_string()),
        CommandError::Vault(_) | CommandError::Read(_) | CommandError::Append(_) => {
            Problem::unavailable(error)
        }
    }
}

fn refused(refusal: &CustomerRefusal) -> Problem {
    let code = match refusal {
        CustomerRefusal::Unknown(_) => Code::NotFound,
        CustomerRefusal::Exists(_) | CustomerRefusal::Erased(_) => Code::Conflict,
        CustomerRefusal::Invalid(_) | CustomerRefusal::TwoChanges => Code::Invalid,
    };
    Problem::new(code, refusal.to_string())
}

fn none(id: &Token) -> Problem {
    Problem::new(Code::NotFound, format!("there is no customer {id}"))
}

/// A customer of whom nothing is known: whatever is refused to them is refused to everybody.
fn anybody(id: &Token) -> Customer {
    Customer {
        customer_id: id.clone(),
        name: Personal::ERASED,
        email: Personal::ERASED,
        address: None,
        erased: false,
    }
}

/// What `If-Match` names: one `ETag` of ours, or `*`.
fn expected(headers: &HeaderMap) -> Result<Option<Expected>, Problem> {
    let mut given = headers.get_all(header::IF_MATCH).iter();
    let Some(first) = given.next() else {
        return Ok(None);
    };
    let wrong = || {
        Problem::new(
            Code::InvalidHeader,
            "If-Match takes one ETag such as \"17\", or *",
        )
    };
    let text = first
        .to_str()
        .ok()
        .filter(|_| given.next().is_none())
        .ok_or_else(wrong)?
        .trim();
    if text == "*" {
        return Ok(Some(Expected::Any));
    }
    let inside = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .ok_or_else(wrong)?;
    let digits = inside.bytes().all(|b| b.is_ascii_digit());
    let sequence = inside.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
    Ok(Some(Expected::Sequence(sequence)))
}

fn created(id: Token, sequence: Option<u64>) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(&format!("/v1/customers/{id}"));
    let location = location.map_err(|error| Problem::internal(&error))?;
    let mut answer = changed(id, sequence)?;
    *answer.status_mut() = StatusCode::CREATED;
    answer.headers_mut().insert(header::LOCATION, location);
    Ok(answer)
}

fn changed(customer_id: Token, sequence: Option<u64>) -> Result<Response, Problem> {
    let sequence = sequence.ok_or_else(|| Problem::internal(&"a change without a sequence"))?;
    let tag = HeaderValue::from_str(&format!("\"{sequence}\"")).map_err(|error| Problem::internal(&error))?;
    let mut answer = axum::Json(Changed {
        customer_id,
        sequence,
    })
    .into_response();
    answer.headers_mut().insert(header::ETAG, tag);
    answer.headers_mut().insert(SEQUENCE, HeaderValue::from(sequence));
    Ok(answer)
}

impl CustomerView {
    fn of(found: CustomerVersion) -> Self {
        let customer = found.state.entity;
        Self {
            name: customer.name.known().cloned(),
            email: customer.email.known().cloned(),
            address: customer
                .address
                .as_ref()
                .and_then(|address| address.known().cloned()),
            customer_id: customer.customer_id,
            erased: customer.erased,
            events: found.state.events,
            sequence: found.sequence,
            stored_at: found.stored_at,
        }
    }
}

const fn fifty() -> usize {
    50
}
