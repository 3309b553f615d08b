use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use saga::{
    Event, EventId, Kind, OwnerAction, OwnerTrigger, Payload, Plan, Retry, State, Token, decide_owner,
    evolve, why_not,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    AppendError, Freshness, Journal, Recorded,
    clock::now,
    consumer::Trigger,
    delivery::Delivery,
    faults::{self, Point, reach},
    in_hand::is_about,
    ladder::{Seen, append, decode, load, take_state},
    letters::Reason,
    metrics::{ByConsumer, ByEvent},
    schedule,
    seen::{Mark, mark},
    setback::Setback,
    subject::{EntitySubject, INBOX, OWNER, TIMERS},
    topology::{DEADLINE, owner_consumer},
    trace,
};

/// The largest message from outside that is read, in bytes.
pub const MAX_INBOUND: usize = 64 * 1024;

/// The header by which an inbound message asks for an answer: a subject under `_INBOX.`.
pub const REPLY: &str = "Jetsaga-Reply";

/// The rule at the door: reads the payload of a start event, and returns the saga's id with the payload in its
/// one spelling, or a sentence that says what is wrong.
pub type Accept = dyn Fn(&Payload) -> Result<(Token, Payload), String> + Send + Sync;

/// The owner of a saga: it lets it in, arms its deadline, turns it, and ends it.
pub(crate) struct Owner {
    pub(crate) journal: Journal,
    pub(crate) plan: Arc<Plan>,
    pub(crate) accept: Box<Accept>,
    pub(crate) deadline: Duration,
    pub(crate) retry: Retry,
}

/// What the writer of an inbound message hears, if it asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl Trigger for Owner {
    async fn handle(&self, delivery: &Delivery) -> Result<(), Setback> {
        match delivery.stream.as_str() {
            INBOX => {
                let result = self.let_in(delivery).await;
                self.answer(delivery, &result).await;
                result.map(drop)
            }
            TIMERS => self.deadline_fired(delivery).await,
            _ => self.hear(delivery).await,
        }
    }

    fn retry(&self) -> Retry {
        self.retry
    }

    fn address(&self, delivery: &Delivery) -> Option<(Token, String, Token)> {
        let id = match delivery.stream.as_str() {
            INBOX => serde_json::from_slice::<Event<()>>(&delivery.body)
                .ok()?
                .event_id
                .token(),
            TIMERS => timer_id(&delivery.subject)?,
            _ => EntitySubject::parse(&delivery.subject)?.0.id().clone(),
        };
        Some((self.plan.saga.clone(), OWNER.to_owned(), id))
    }

    fn buries(&self) -> bool {
        false
    }
}

impl Owner {
    /// An event of the journal: arms the deadline of a new saga, ends one that is compensated.
    async fn hear(&self, delivery: &Delivery) -> Result<(), Setback> {
        let trigger = decode(&self.plan, delivery)?;
        let cause = trigger.event.event_id;
        if self.plan.kind(&trigger.event.event_type) == Some(Kind::Started) {
            return self.arm(&trigger).await;
        }
        reach(Point::Decoded).await?;
        let mut seen = take_state(&self.journal, &self.plan, delivery, trigger).await?;
        self.conclude(&mut seen, OwnerTrigger::Event, cause, None).await
    }

    /// The deadline of a saga, by the time that its first event names. Doing it twice changes nothing.
    async fn arm(&self, started: &Recorded<State>) -> Result<(), Setback> {
        let state = &started.state;
        let Some(at) = state.start.deadline else {
            return Ok(());
        };
        Ok(schedule::arm(self.journal.link(), &state.saga, &state.id, DEADLINE, at).await?)
    }

    /// A timer is in no journal, so its handler reads the leader. One without a saga has nothing to end.
    async fn deadline_fired(&self, delivery: &Delivery) -> Result<(), Setback> {
        let id = timer_id(&delivery.subject).ok_or_else(|| {
            Setback::Poison(Reason::Undecodable, format!("{} is no timer", delivery.subject))
        })?;
        let entity = EntitySubject::new(&self.plan.saga, &id);
        let Some(mut seen) = load(&self.journal, &self.plan, entity, Freshness::Leader).await? else {
            return Ok(());
        };
        let cause = seen.state.start.event_id;
        self.conclude(
            &mut seen,
            OwnerTrigger::Deadline,
            cause,
            Some("the deadline elapsed"),
        )
        .await
    }

    /// Decides and appends until nothing is owed. What the owner appends is a decision, not a fact: on a
    /// conflict it is thrown away and decided again.
    async fn conclude(
        &self,
        seen: &mut Seen,
        trigger: OwnerTrigger,
        cause: EventId,
        reason: Option<&str>,
    ) -> Result<(), Setback> {
        loop {
            if seen.version > self.plan.version {
                return Err(Setback::Newer(seen.version));
            }
            faults::warp(&self.plan, &mut seen.state, Some(trigger), cause);
            reach(Point::StateTaken).await?;
            let turned = seen.state.turned.as_ref().map(|turn| turn.reason.clone());
            let given = reason.unwrap_or_default().to_owned();
            let (event_type, reason) = match decide_owner(&self.plan, &seen.state, trigger) {
                OwnerAction::Nothing => return Ok(()),
                OwnerAction::TimeOut => (&self.plan.timed_out, given),
                OwnerAction::RequestCancellation => (&self.plan.cancellation_requested, given),
                OwnerAction::Cancel => (&self.plan.cancelled, turned.unwrap_or(given)),
            };
            reach(Point::Decided).await?;
            let event = self.event(&seen.state.id, event_type, cause, reason)?;
            *seen = match append(&self.journal, &self.plan, seen, &event).await? {
                Ok(after) => {
                    self.count(event_type);
                    after
                }
                Err(latest) => latest,
            };
        }
    }

    fn event(
        &self,
        id: &Token,
        event_type: &Token,
        cause: EventId,
        reason: String,
    ) -> Result<Event<()>, Setback> {
        let mut fields = Map::new();
        fields.insert(self.plan.id_field.clone(), Value::from(id.as_str()));
        fields.insert("reason".to_owned(), Value::from(reason.as_str()));
        let payload = Payload::of(&fields).map_err(|error| Setback::Effect(error.into()))?;
        let event_id = EventId::derived(self.plan.saga.as_str(), id.as_str(), event_type.as_str());
        Ok(Event {
            causation_id: Some(cause),
            version: self.plan.version,
            reason: Some(reason),
            traceparent: trace::kept(),
            ..Event::new(event_id, event_type.clone(), now(), payload)
        })
    }

    fn count(&self, event_type: &Token) {
        let labels = ByEvent {
            consumer: owner_consumer(&self.plan),
            event: event_type.to_string(),
        };
        self.journal.link().metrics.outcomes.get_or_create(&labels).inc();
    }

    /// A message from outside: a start, or a cancellation. Returns the id it is about and the sequence of its
    /// event.
    async fn let_in(&self, delivery: &Delivery) -> Result<(Token, u64), Setback> {
        let invalid = |why: String| Setback::Poison(Reason::Invalid, why);
        if delivery.body.len() > MAX_INBOUND {
            let size = delivery.body.len();
            return Err(invalid(format!(
                "the message has {size} bytes; it takes at most {MAX_INBOUND}"
            )));
        }
        let event: Event<()> = serde_json::from_slice(&delivery.body).map_err(|_| {
            let why = why_not::<Event<()>>("", &delivery.body);
            Setback::Poison(Reason::Undecodable, format!("it is no event: {why}"))
        })?;
        if delivery.body.trim_ascii_start().first() != Some(&b'{') {
            let why = "it is no event: it takes a JSON object".to_owned();
            return Err(Setback::Poison(Reason::Undecodable, why));
        }
        let told = delivery.subject.rsplit('.').next().unwrap_or_default();
        if event.event_type != *told {
            return Err(invalid(format!(
                "eventType is {}, but the subject says {told}",
                event.event_type
            )));
        }
        match self.plan.kind(&event.event_type) {
            Some(Kind::Started) => self.start(event).await,
            Some(Kind::CancellationRequested) => self.request_cancellation(&event).await,
            _ => Err(invalid(format!(
                "eventType {} is not for the inbox of {}; it takes {} or {}",
                event.event_type, self.plan.saga, self.plan.start, self.plan.cancellation_requested
            ))),
        }
    }

    /// Turns a start from outside into the saga's first event, once: the same again is the same saga, and
    /// something else under the same id is refused.
    async fn start(&self, event: Event<()>) -> Result<(Token, u64), Setback> {
        let (id, payload) =
            (self.accept)(&event.payload).map_err(|why| Setback::Poison(Reason::Invalid, why))?;
        is_about(&id);
        self.claim(event.event_id, &id).await?;
        let entity = EntitySubject::new(&self.plan.saga, &id);
        let unread = |error| Setback::unread(&self.plan, error);
        if let Some(kept) = self.journal.bucket::<State>(&entity).await.map_err(unread)? {
            return self.same_again(&id, &payload, &kept);
        }
        let accepted_at = now();
        let event = Event {
            version: self.plan.version,
            traceparent: trace::kept(),
            accepted_at: Some(accepted_at),
            deadline: Some(accepted_at.after(self.deadline)),
            ..Event::<()>::new(event.event_id, event.event_type, event.timestamp, payload)
        };
        let mut state = evolve(&self.plan, None, &event, &id, 0)
            .map_err(|error| Setback::Poison(Reason::Invalid, error.to_string()))?;
        faults::enrich(&mut state);
        let event = event.with_state(Some(state));
        match self.journal.append(&entity, 0, &event).await {
            Ok(sequence) => {
                self.count(&event.event_type);
                if let Some(state) = &event.state {
                    let sagas = &self.journal.link().metrics.sagas;
                    sagas.appended(&self.plan, &event.clone().with_state(None), state);
                }
                return Ok((id, sequence));
            }
            Err(AppendError::Stale { .. } | AppendError::InFlight | AppendError::Unknown(_)) => {}
            Err(error @ AppendError::Refused { .. }) => return Err(error.into()),
        }
        let kept = self.journal.last::<State>(&entity, Freshness::Leader).await;
        match kept.map_err(unread)? {
            Some(kept) => self.same_again(&id, &event.payload, &kept),
            None => Err(Setback::Journal(
                "no answer to the first append; it is tried again".to_owned(),
            )),
        }
    }

    /// The event id belongs to the first saga that came with it.
    async fn claim(&self, event: EventId, id: &Token) -> Result<(), Setback> {
        let consumer = owner_consumer(&self.plan);
        let mine = Bytes::copy_from_slice(id.as_str().as_bytes());
        match mark(self.journal.link(), &consumer, event, mine.clone()).await? {
            Mark::First => Ok(()),
            Mark::Before(theirs) if theirs == mine => Ok(()),
            Mark::Before(theirs) => {
                let theirs = String::from_utf8_lossy(&theirs);
                let why = format!("eventId {event} belongs to {theirs} already; {id} needs one of its own");
                Err(Setback::Poison(Reason::Conflict, why))
            }
        }
    }

    fn same_again(
        &self,
        id: &Token,
        payload: &Payload,
        kept: &Recorded<State>,
    ) -> Result<(Token, u64), Setback> {
        if kept.state.start.payload != *payload {
            let why = format!("{id} exists with another content; nothing was changed");
            return Err(Setback::Poison(Reason::Conflict, why));
        }
        let labels = ByConsumer::of(&owner_consumer(&self.plan));
        self.journal
            .link()
            .metrics
            .duplicates
            .get_or_create(&labels)
            .inc();
        let first = kept.state.first_sequence;
        Ok((id.clone(), if first == 0 { kept.sequence } else { first }))
    }

    /// A cancellation that finds no saga may have overtaken it, and is tried for a minute.
    async fn request_cancellation(&self, event: &Event<()>) -> Result<(Token, u64), Setback> {
        let invalid = |why: String| Setback::Poison(Reason::Invalid, why);
        let fields: Map<String, Value> = event
            .payload
            .read()
            .map_err(|error| invalid(format!("payload: {error}")))?;
        let field = &self.plan.id_field;
        let id = fields.get(field).and_then(Value::as_str);
        let id = id.ok_or_else(|| invalid(format!("payload: {field} is missing or no text")))?;
        let id = Token::new(id).map_err(|error| invalid(format!("payload.{field}: {error}")))?;
        is_about(&id);
        let reason = fields
            .get("reason")
            .and_then(Value::as_str)
            .unwrap_or("cancelled on request");
        let entity = EntitySubject::new(&self.plan.saga, &id);
        let Some(mut seen) = load(&self.journal, &self.plan, entity, Freshness::Leader).await? else {
            return Err(Setback::Early(format!("there is no {} {id}", self.plan.saga)));
        };
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        let reason: String = reason.chars().take(200).map(clean).collect();
        self.conclude(
            &mut seen,
            OwnerTrigger::Cancellation,
            event.event_id,
            Some(&reason),
        )
        .await?;
        if seen.state.turned.is_none() {
            let why = format!(
                "{id} is {} and can only go forward; it was not cancelled",
                seen.state.status
            );
            tracing::info!("a cancellation came too late");
            return Err(Setback::Poison(Reason::Conflict, why));
        }
        Ok((id, seen.sequence))
    }

    /// Tells the writer what became of its message, at most once, if it named an inbox of its own.
    async fn answer(&self, delivery: &Delivery, result: &Result<(Token, u64), Setback>) {
        let reply = delivery
            .headers
            .get(REPLY)
            .map(|subject| subject.as_str().to_owned());
        let Some(reply) = reply.filter(|subject| is_inbox(subject)) else {
            return;
        };
        let answer = match result {
            Ok((id, sequence)) => Answer {
                ok: true,
                id: Some(id.as_str()),
                sequence: Some(*sequence),
                reason: None,
                detail: None,
            },
            Err(Setback::Poison(reason, why)) => Answer {
                ok: false,
                id: None,
                sequence: None,
                reason: Some(reason.word()),
                detail: Some(why),
            },
            Err(_) => return, // it is tried again; the answer comes then, or not at all
        };
        let Ok(body) = serde_json::to_vec(&answer) else {
            return;
        };
        if let Err(error) = self.journal.link().broker.tell(reply, body.into()).await {
            tracing::warn!(%error, "an answer was not sent");
        }
    }
}

/// An answer goes to a client's own inbox and nowhere else: the writer of a message could name any subject.
fn is_inbox(subject: &str) -> bool {
    let tail = subject.strip_prefix("_INBOX.");
    tail.is_some_and(|t| !t.is_empty() && t.split('.').all(|part| part.parse::<Token>().is_ok()))
}

/// The id in `due.<kind>.<id>.deadline`.
fn timer_id(subject: &str) -> Option<Token> {
    let mut parts = subject.split('.');
    match (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) {
        (Some("due"), Some(_), Some(id), Some(_), None) => Token::new(id).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_to_an_inbox_only() {
        assert!(is_inbox("_INBOX.abc.1"));
        for odd in [
            "evt.checkout.OrderShipped.ORD-1",
            "_INBOX.",
            "_INBOX.>",
            "_INBOX.a b",
            "$JS.API.x",
        ] {
            assert!(!is_inbox(odd), "{odd}");
        }
    }

    #[test]
    fn a_timer_names_its_saga() {
        assert_eq!(timer_id("due.checkout.ORD-1.deadline").unwrap().as_str(), "ORD-1");
        assert_eq!(timer_id("due.checkout.payment.ORD-1.7"), None);
    }
}
