//! How something is done to a customer, once under one key.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use customer::{Customer, CustomerCommand, CustomerError, CustomerRefusal};
use jetsaga::{CommandError, EventId, Expected, Personal, Token, VaultError};
use uuid::Uuid;

use crate::{
    app::Gateway,
    command::SEQUENCE,
    customer_views::Changed,
    keys::Caller,
    problem::{Code, Problem},
    requests::{Answer, Begun, RequestKey, fingerprint},
};

/// What is to be done to a customer.
pub(crate) struct Order {
    pub(crate) what: &'static str,
    pub(crate) id: Option<Token>,
    pub(crate) expected: Expected,
    pub(crate) command: CustomerCommand,
}

impl Gateway {
    /// Does it, once under one key, and says what became of it.
    pub(crate) async fn change(
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

pub(crate) fn came_to_nothing(error: &CustomerError) -> Problem {
    match error {
        CommandError::Refused(refusal) => refused(refusal),
        CommandError::Stale { .. } => Problem::new(Code::Stale, error.to_string()),
        CommandError::Vault(VaultError::Erased(_)) => Problem::new(Code::Conflict, error.to_string()),
        CommandError::Vault(_) | CommandError::Read(_) | CommandError::Append(_) => {
            Problem::unavailable(error)
        }
    }
}

pub(crate) fn refused(refusal: &CustomerRefusal) -> Problem {
    let code = match refusal {
        CustomerRefusal::Unknown(_) => Code::NotFound,
        CustomerRefusal::Exists(_) | CustomerRefusal::Erased(_) => Code::Conflict,
        CustomerRefusal::Invalid(_) | CustomerRefusal::TwoChanges => Code::Invalid,
    };
    Problem::new(code, refusal.to_string())
}

pub(crate) fn none(id: &Token) -> Problem {
    Problem::new(Code::NotFound, format!("there is no customer {id}"))
}

/// A customer of whom nothing is known: whatever is refused to them is refused to everybody.
pub(crate) fn anybody(id: &Token) -> Customer {
    Customer {
        customer_id: id.clone(),
        name: Personal::ERASED,
        email: Personal::ERASED,
        address: None,
        erased: false,
    }
}

/// What `If-Match` names: one `ETag` of ours, or `*`.
pub(crate) fn expected(headers: &HeaderMap) -> Result<Option<Expected>, Problem> {
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

pub(crate) fn created(id: Token, sequence: Option<u64>) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(&format!("/v1/customers/{id}"));
    let location = location.map_err(|error| Problem::internal(&error))?;
    let mut answer = changed(id, sequence)?;
    *answer.status_mut() = StatusCode::CREATED;
    answer.headers_mut().insert(header::LOCATION, location);
    Ok(answer)
}

pub(crate) fn changed(customer_id: Token, sequence: Option<u64>) -> Result<Response, Problem> {
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
