use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jetsaga::{Event, EventId, Payload, Token, engine::MAX_INBOUND, now, subject::inbox};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::Gateway,
    asker::Reply,
    context::Context,
    keys::Caller,
    problem::{Code, Problem},
    requests::{Answer, Begun, Claim, RequestKey, fingerprint},
};

/// The header that names the sequence of a command's event, and by which a query asks for what is no older.
pub(crate) const SEQUENCE: HeaderName = HeaderName::from_static("jetsaga-sequence");

/// What an event has around its payload, at most, in bytes: two ids, a type and a time.
const ENVELOPE: usize = 512;

/// Something that the owner of orders is asked to do.
pub(crate) struct Command {
    /// What it does, as one word that never changes.
    pub(crate) what: &'static str,
    /// The event that it is.
    pub(crate) event_type: &'static str,
    /// What it is about and what it says; equal for equal requests.
    pub(crate) content: String,
    /// The order, if the client named one.
    pub(crate) id: Option<Token>,
}

/// An order, or a change of one, that was accepted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"orderId": "ORD-987654", "sequence": 17}))]
pub(crate) struct Accepted {
    /// The order.
    #[schema(value_type = String)]
    order_id: Token,
    /// The sequence of its event in the journal; absent if the owner of orders has not answered yet: the request is
    /// kept, and will be dealt with.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
}

impl Gateway {
    /// Has the owner of orders do something, once under one key, and says what became of it. `payload` makes the
    /// event's payload for the order's id.
    ///
    /// # Errors
    /// What the owner refuses, and what stands against a key.
    pub(crate) async fn command(
        &self,
        caller: &Caller,
        context: &Context,
        key: Option<RequestKey>,
        command: Command,
        payload: impl FnOnce(&Token) -> Result<Payload, Problem>,
    ) -> Result<Response, Problem> {
        if command.content.len() > MAX_INBOUND - ENVELOPE {
            let why = format!("the content takes at most {} bytes", MAX_INBOUND - ENVELOPE);
            return Err(Problem::new(Code::BodyTooLarge, why));
        }
        let claim = match &key {
            None => None,
            Some(key) => {
                let fingerprint = fingerprint(command.what, &command.content);
                match self.requests.begin(&caller.name, key, &fingerprint).await? {
                    Begun::Answered(answer) => return answer.response(accepted),
                    Begun::Ours(claim) => Some(claim),
                }
            }
        };
        let id = match command.id {
            Some(id) => id,
            None => new_id(claim.as_ref())?,
        };
        let event_id = match &claim {
            Some(claim) => claim.derived(command.event_type),
            None => EventId::new(Uuid::new_v4()),
        };
        let event_type = Token::new(command.event_type).map_err(|error| Problem::internal(&error))?;
        let subject = inbox(&self.plan.saga, &event_type);
        let event = Event::<()>::new(event_id, event_type, now(), payload(&id)?);
        let body = serde_json::to_vec(&event).map_err(|error| Problem::internal(&error))?;
        let limit = self.config.answer_limit;
        let reply = self
            .asker
            .ask(subject, context.headers(), body.into(), limit)
            .await?;
        let Some(answer) = reply.map(|reply| Answer::of(id.clone(), reply)).transpose()? else {
            return accepted(id, None);
        };
        if let Some(claim) = claim {
            self.requests.end(claim, &answer).await;
        }
        answer.response(accepted)
    }
}

/// An order id of our own; under a key always the same.
fn new_id(claim: Option<&Claim>) -> Result<Token, Problem> {
    let id = claim.map_or_else(Uuid::new_v4, |claim| claim.derived("id").uuid());
    Token::new(&format!("ORD-{id}")).map_err(|error| Problem::internal(&error))
}

impl Answer {
    fn of(id: Token, reply: Reply) -> Result<Self, Problem> {
        let detail = reply.detail.unwrap_or_default();
        match (reply.ok, reply.sequence, reply.reason.as_deref()) {
            (true, Some(sequence), _) => Ok(Self::Accepted { id, sequence }),
            (false, _, Some("conflict")) => Ok(Self::Conflict { detail }),
            (false, _, Some("invalid")) => Ok(Self::Invalid { detail }),
            (_, _, reason) => Err(Problem::internal(&format_args!(
                "the owner of orders said {reason:?}: {detail}"
            ))),
        }
    }

    /// What is said; `accepted` says it of what is in the journal.
    pub(crate) fn response(
        self,
        accepted: impl FnOnce(Token, Option<u64>) -> Result<Response, Problem>,
    ) -> Result<Response, Problem> {
        match self {
            Self::Accepted { id, sequence } => accepted(id, Some(sequence)),
            Self::Invalid { detail } => Err(Problem::new(Code::Invalid, detail)),
            Self::Conflict { detail } => Err(Problem::new(Code::Conflict, detail)),
        }
    }
}

/// It is kept: 202, with where to look.
fn accepted(order_id: Token, sequence: Option<u64>) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(&format!("/v1/orders/{order_id}"));
    let location = location.map_err(|error| Problem::internal(&error))?;
    let mut answer = axum::Json(Accepted { order_id, sequence }).into_response();
    *answer.status_mut() = StatusCode::ACCEPTED;
    answer.headers_mut().insert(header::LOCATION, location);
    if let Some(sequence) = sequence {
        answer.headers_mut().insert(SEQUENCE, HeaderValue::from(sequence));
    }
    Ok(answer)
}
