use std::{sync::Arc, time::Duration};

use saga::{
    Direction, Event, EventId, Next, Payload, Plan, Retry, STEP_STUCK, State, StepAction, StepIx, StepStatus,
    StepStuck, Token, decide, evolve,
};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{
    AppendError, Freshness, Journal, Recorded,
    bounded::bounded,
    clock::now,
    consumer::Trigger,
    delivery::Delivery,
    faults::{self, Flaw, Point, flawed, reach},
    letters::Reason,
    metrics::{ByConsumer, ByEvent},
    setback::Setback,
    step::{Act, Effect, Fate, Verb},
    subject::EntitySubject,
    topology::step_consumer,
    trace,
};

/// The reason of a step that was forbidden because its saga turned.
const CANCELLED: &str = "cancelled";

/// One step of one saga, as its workers run it.
pub(crate) struct StepWorker {
    pub(crate) journal: Journal,
    pub(crate) plan: Arc<Plan>,
    pub(crate) step: StepIx,
    pub(crate) retry: Retry,
    /// How long one effect may take.
    pub(crate) limit: Duration,
    pub(crate) handler: Box<dyn Act>,
}

/// A saga's state as this worker knows it, and the guard that a decision on it rests on.
pub(crate) struct Seen {
    pub(crate) entity: EntitySubject,
    pub(crate) sequence: u64,
    pub(crate) version: u32,
    pub(crate) state: State,
}

impl Trigger for StepWorker {
    /// The ladder: decode, take the state, decide, act, append, and decide again until nothing is owed. Only
    /// then does the caller acknowledge.
    async fn handle(&self, delivery: &Delivery) -> Result<(), Setback> {
        let trigger = decode(&self.plan, delivery)?;
        let cause = trigger.event.event_id;
        reach(Point::Decoded).await?;
        let mut seen = take_state(&self.journal, &self.plan, delivery, trigger).await?;
        loop {
            if seen.version > self.plan.version {
                return Err(Setback::Newer(seen.version));
            }
            reach(Point::StateTaken).await?;
            faults::warp(&self.plan, &mut seen.state, None, cause);
            let action = decide(&self.plan, &seen.state, self.step, cause);
            let verb = match action {
                StepAction::Nothing => {
                    self.count_duplicate(delivery, &seen, cause);
                    return Ok(());
                }
                StepAction::Run => Verb::Run,
                StepAction::Settle => Verb::Settle(CANCELLED.to_owned()),
                StepAction::Undo => Verb::Undo,
            };
            reach(Point::Decided).await?;
            if action == StepAction::Run {
                trace::link_causes(&self.plan, &seen.state, self.step, cause);
            }
            let fate = match self.act(&seen, verb, delivery.attempt).await {
                Ok(fate) => fate,
                Err(setback) => return Err(self.stuck(seen, action, delivery, setback).await?),
            };
            if flawed(Flaw::AckBeforeAppend) {
                delivery.acknowledge().await;
            }
            seen = self.record(seen, fate, cause, delivery.attempt).await?;
            if flawed(Flaw::DecideOnce) {
                return Ok(());
            }
        }
    }

    fn retry(&self) -> Retry {
        self.retry
    }

    fn address(&self, delivery: &Delivery) -> Option<(Token, String, Token)> {
        let (entity, _) = EntitySubject::parse(&delivery.subject)?;
        Some((
            self.plan.saga.clone(),
            self.plan.step(self.step).name.to_string(),
            entity.id().clone(),
        ))
    }

    fn buries(&self) -> bool {
        false
    }
}

impl StepWorker {
    /// Asks the handler. A forward effect that used up its attempts is settled instead: if it happened, that is
    /// its outcome; if not, it is forbidden, and refused for the reason that it kept failing.
    async fn act(&self, seen: &Seen, verb: Verb, attempt: u32) -> Result<Fate, Setback> {
        match verb {
            Verb::Run => match self.ask(seen, Verb::Run, attempt).await {
                Err(Setback::Effect(error)) if self.exhausted(attempt) => {
                    let reason = format!("gave up after {attempt} attempts: {}", brief(&error));
                    let step = self.plan.step(self.step).name.as_str();
                    tracing::warn!(step, attempt, why = brief(&error), "it is given up, and settled");
                    self.ask(seen, Verb::Settle(reason), attempt).await
                }
                answer => answer,
            },
            other => self.ask(seen, other, attempt).await,
        }
    }

    /// Tries the effect within its limit, as a part of the trace, and measures it.
    async fn ask(&self, seen: &Seen, verb: Verb, attempt: u32) -> Result<Fate, Setback> {
        let (word, direction) = match verb {
            Verb::Run => ("run", Direction::Forward),
            Verb::Settle(_) => ("settle", Direction::Forward),
            Verb::Undo => ("undo", Direction::Undo),
        };
        let effect = Effect {
            saga: self.plan.saga.clone(),
            id: seen.state.id.clone(),
            step: self.plan.step(self.step).name.clone(),
            direction,
            attempt,
        };
        let (span, asked) = (trace::effect(&effect, word), Instant::now());
        let acting = self.handler.act(&self.plan, &seen.state, effect, verb);
        let work = async {
            reach(Point::BeforeEffect).await?;
            let fate = acting.await?;
            reach(Point::AfterEffect).await?;
            Ok(fate)
        };
        let answer = bounded(self.limit, work).instrument(span.clone()).await;
        let outcome = match &answer {
            Ok(Fate::Done(_)) => "done",
            Ok(Fate::Refused(..)) => "refused",
            Ok(Fate::Undone(_)) => "undone",
            Err(_) => "failed",
        };
        trace::ended(&span, outcome, answer.as_ref().err());
        let consumer = step_consumer(&self.plan, self.step);
        let sagas = &self.journal.link().metrics.sagas;
        sagas.tried(consumer, word, outcome, asked.elapsed());
        answer
    }

    /// Writes the outcome under the guard. An outcome is a fact: on a conflict it is written after what came
    /// between, unless somebody has recorded it already; then theirs stands and this one is dropped.
    async fn record(
        &self,
        mut seen: Seen,
        fate: Fate,
        cause: EventId,
        attempt: u32,
    ) -> Result<Seen, Setback> {
        let (expected, event) = self.event_of(&seen.state, fate, cause, attempt);
        loop {
            if seen.state.status_of(&self.plan, self.step) != expected || seen.state.is_final() {
                return Ok(seen);
            }
            match append(&self.journal, &self.plan, &seen, &event).await? {
                Ok(after) => {
                    let consumer = step_consumer(&self.plan, self.step);
                    let labels = ByEvent {
                        consumer,
                        event: event.event_type.to_string(),
                    };
                    self.journal.link().metrics.outcomes.get_or_create(&labels).inc();
                    return Ok(after);
                }
                Err(latest) if flawed(Flaw::DroppedOnConflict) => return Ok(faults::finished(latest)),
                Err(latest) => seen = latest,
            }
        }
    }

    /// The event of an outcome, and the status that the step must still have for it to be written.
    fn event_of(&self, state: &State, fate: Fate, cause: EventId, attempt: u32) -> (StepStatus, Event<()>) {
        let step = self.plan.step(self.step);
        let (expected, event_type, payload, reason) = match fate {
            Fate::Done(payload) => (StepStatus::Open, &step.done, payload, None),
            Fate::Refused(payload, reason) => (StepStatus::Open, &step.refused, payload, Some(reason)),
            Fate::Undone(payload) => (
                StepStatus::Done,
                step.undone.as_ref().unwrap_or(&step.done),
                payload,
                None,
            ),
        };
        let id = EventId::derived(self.plan.saga.as_str(), state.id.as_str(), event_type.as_str());
        let event = Event {
            causation_id: Some(cause),
            version: self.plan.version,
            attempt: Some(attempt),
            reason,
            traceparent: trace::kept(),
            ..Event::new(id, event_type.clone(), now(), payload)
        };
        (expected, event)
    }

    /// After a failure beyond the limit: records once per step and direction that there is no progress. Trying
    /// goes on. Hands the setback back.
    async fn stuck(
        &self,
        mut seen: Seen,
        action: StepAction,
        delivery: &Delivery,
        setback: Setback,
    ) -> Result<Setback, Setback> {
        let Setback::Effect(error) = &setback else {
            return Ok(setback);
        };
        if !self.exhausted(delivery.attempt) {
            return Ok(setback);
        }
        let step = &self.plan.step(self.step).name;
        let direction = if action == StepAction::Undo {
            Direction::Undo
        } else {
            Direction::Forward
        };
        let stuck = StepStuck {
            step: step.clone(),
            direction,
            reason: brief(error),
        };
        let what = format!("{step}.stuck.{direction}");
        let id = EventId::derived(self.plan.saga.as_str(), seen.state.id.as_str(), &what);
        let word = Token::new(STEP_STUCK).map_err(|e| Setback::Poison(Reason::Invalid, e.to_string()))?;
        let payload = Payload::of(&stuck).map_err(|e| Setback::Effect(e.into()))?;
        let event = Event {
            version: self.plan.version,
            ..Event::new(id, word, now(), payload)
        };
        let known = |seen: &Seen| {
            let known = seen
                .state
                .step(&self.plan, self.step)
                .and_then(|s| s.stuck.as_ref());
            known.is_some_and(|known| known.direction == direction)
        };
        while seen.state.status_of(&self.plan, self.step).is_active() && !known(&seen) {
            match append(&self.journal, &self.plan, &seen, &event).await? {
                Ok(_) => {
                    let labels = ByConsumer::of(&step_consumer(&self.plan, self.step));
                    self.journal.link().metrics.stuck.get_or_create(&labels).inc();
                    let (step, why) = (step.as_str(), brief(error));
                    tracing::warn!(step, %direction, attempt = delivery.attempt, why, "the step is stuck; it is tried on");
                    break;
                }
                Err(latest) => seen = latest,
            }
        }
        Ok(setback)
    }

    fn exhausted(&self, attempt: u32) -> bool {
        matches!(self.retry.after(attempt, 0), Next::Exhausted(_))
    }

    /// Nothing is owed: if the state names this trigger as the cause of the step's outcome before anything was
    /// done for it here, it was a duplicate.
    fn count_duplicate(&self, delivery: &Delivery, seen: &Seen, cause: EventId) {
        let step = seen.state.step(&self.plan, self.step);
        let outcomes = step.map(|s| [&s.done, &s.refused, &s.undone]);
        let caused = outcomes.is_some_and(|all| {
            all.iter()
                .any(|o| o.as_ref().is_some_and(|o| o.causation_id == Some(cause)))
        });
        if caused && !delivery.is_first {
            let labels = ByConsumer::of(&step_consumer(&self.plan, self.step));
            self.journal
                .link()
                .metrics
                .duplicates
                .get_or_create(&labels)
                .inc();
        }
    }
}

/// An error for a person, short enough to travel inside an event.
fn brief(error: &anyhow::Error) -> String {
    format!("{error:#}").chars().take(500).collect()
}

/// Reads a trigger as an event of this saga. What cannot be one never can: it is poison.
pub(crate) fn decode(plan: &Plan, delivery: &Delivery) -> Result<Recorded<State>, Setback> {
    let poison = |why: String| Setback::Poison(Reason::Undecodable, why);
    let (entity, event_type) = EntitySubject::parse(&delivery.subject)
        .ok_or_else(|| poison(format!("{} is no subject of an event", delivery.subject)))?;
    let recorded = Recorded::<State>::read(
        &delivery.body,
        delivery.sequence,
        delivery.guard,
        delivery.stored_at,
    );
    let recorded = recorded.map_err(|error| Setback::unread(plan, error))?;
    if recorded.event.version > plan.version {
        return Err(Setback::Newer(recorded.event.version));
    }
    let state = &recorded.state;
    if recorded.event.event_type != event_type || state.id != *entity.id() || state.saga != plan.saga {
        return Err(poison(format!(
            "it says {} of {} {}, but its subject is {}",
            recorded.event.event_type, state.saga, state.id, delivery.subject
        )));
    }
    Ok(recorded)
}

/// The state to decide on: on a first delivery the one that the event carries; else a read that knows at least the
/// trigger itself, and from the leader if the trigger does not come from the journal directly. Whoever does not show
/// the trigger yet is asked again later: it was delivered, so it is there.
pub(crate) async fn take_state(
    journal: &Journal,
    plan: &Plan,
    delivery: &Delivery,
    trigger: Recorded<State>,
) -> Result<Seen, Setback> {
    let entity = EntitySubject::new(&trigger.state.saga, &trigger.state.id);
    if delivery.is_first && !flawed(Flaw::StaleReads) {
        return Ok(Seen::of(entity, trigger));
    }
    let fresh = if flawed(Flaw::StaleReads) {
        Freshness::Any
    } else if delivery.since.is_some() {
        Freshness::LeaderAtLeast(trigger.sequence)
    } else {
        Freshness::AtLeast(trigger.sequence)
    };
    let shown = load(journal, plan, entity, fresh).await?;
    shown.ok_or_else(|| Setback::Journal(format!("event {} is not shown yet", trigger.sequence)))
}

/// The saga's latest state; `None` if it does not exist.
pub(crate) async fn load(
    journal: &Journal,
    plan: &Plan,
    entity: EntitySubject,
    fresh: Freshness,
) -> Result<Option<Seen>, Setback> {
    let found = journal.last::<State>(&entity, fresh).await;
    let found = found.map_err(|error| Setback::unread(plan, error))?;
    Ok(found.map(|recorded| Seen::of(entity, recorded)))
}

/// Appends `event` to what was seen, unless a newer worker made that: then the newer ones have to do it, and find the
/// outcome under the same key. The inner `Err` is what a reader of the leader saw after a conflict or a doubt: decide
/// again on that.
pub(crate) async fn append(
    journal: &Journal,
    plan: &Plan,
    seen: &Seen,
    event: &Event<()>,
) -> Result<Result<Seen, Seen>, Setback> {
    if seen.version > plan.version {
        return Err(Setback::Newer(seen.version));
    }
    let mut state = evolve(plan, Some(&seen.state), event, &seen.state.id, seen.sequence)
        .map_err(|error| Setback::Poison(Reason::Invalid, error.to_string()))?;
    faults::enrich(&mut state);
    let carrying = event.clone().with_state(Some(&state));
    let fresh = match journal.append(&seen.entity, seen.sequence, &carrying).await {
        Ok(sequence) => {
            journal.link().metrics.sagas.appended(plan, event, &state);
            return Ok(Ok(Seen {
                entity: seen.entity.clone(),
                sequence,
                version: event.version,
                state,
            }));
        }
        Err(AppendError::Stale { .. }) if flawed(Flaw::StaleReads) => Freshness::Any,
        // The server named the last event, so a replica that has it is as good as the leader.
        Err(AppendError::Stale { last }) => Freshness::AtLeast(last),
        Err(AppendError::InFlight) => {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Freshness::LeaderAtLeast(seen.sequence)
        }
        Err(AppendError::Unknown(_)) => Freshness::LeaderAtLeast(seen.sequence),
        Err(error @ AppendError::Refused { .. }) => return Err(error.into()),
    };
    let latest = load(journal, plan, seen.entity.clone(), fresh).await?;
    latest
        .map(Err)
        .ok_or_else(|| Setback::Journal("the saga is not in the journal any more".to_owned()))
}

impl Seen {
    pub(crate) fn of(entity: EntitySubject, recorded: Recorded<State>) -> Self {
        Self {
            entity,
            sequence: recorded.sequence,
            version: recorded.event.version,
            state: recorded.state,
        }
    }
}
