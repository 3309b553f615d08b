use std::{fmt::Write as _, time::Duration};

use anyhow::Context as _;
use checkout::Checkout;
use jetsaga::{
    EventId, Freshness, Journal, Nats, Plan, Recorded, State, Status, StepStatus, Timestamp, Token,
    saga::{StepIx, StepState},
    subject::EntitySubject,
};

use crate::output::{Output, human, plain};

/// Shows one saga as a tree; waits for its end first if asked to.
pub(crate) async fn run(nats: &Nats, id: &Token, wait: Option<u64>, out: Output) -> anyhow::Result<()> {
    let journal = Journal::new(nats);
    let plan = Plan::of::<Checkout>()?;
    let entity = EntitySubject::new(&plan.saga, id);
    if let Some(seconds) = wait {
        until_final(&journal, &entity, Duration::from_secs(seconds)).await?;
    }
    let history = journal.history::<State>(&entity).await?;
    let last = history
        .last()
        .with_context(|| format!("there is no order {id}"))?;
    out.print(&last.state, |_| tree(&plan, &history))
}

/// Waits until the saga is completed or cancelled.
pub(crate) async fn until_final(
    journal: &Journal,
    entity: &EntitySubject,
    limit: Duration,
) -> anyhow::Result<Recorded<State>> {
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        let found = journal.last::<State>(entity, Freshness::Leader).await?;
        if let Some(found) = found.filter(|found| found.state.is_final()) {
            return Ok(found);
        }
        if tokio::time::Instant::now() >= deadline {
            match journal.last::<State>(entity, Freshness::Leader).await? {
                Some(_) => anyhow::bail!("{} is not finished after {limit:?}", entity.id()),
                None => anyhow::bail!("there is no {} {} after {limit:?}", entity.kind(), entity.id()),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The saga as a tree: each step with its time since the start, its attempts and its reasons. Times are the
/// server's, so they compare whichever worker wrote the event.
pub(crate) fn tree(plan: &Plan, history: &[Recorded<State>]) -> String {
    let (Some(first), Some(last)) = (history.first(), history.last()) else {
        return String::new();
    };
    let state = &last.state;
    let times = Times {
        start: first.stored_at,
        history,
    };
    let mut text = format!(
        "{} {}  {}  {} events in {}\n├─ {}  {}",
        state.saga,
        state.id,
        state.status,
        state.events,
        human(last.stored_at.since(first.stored_at)),
        plan.start,
        first.stored_at
    );
    let turned = state.turned.as_ref().map(|turn| turn.event_id);
    if let Some(turn) = history.iter().find(|r| Some(r.event.event_id) == turned) {
        let reason = plain(turn.event.reason.as_deref().unwrap_or("no reason given"));
        let _ = write!(
            text,
            "\n├─ turned by {} {}: {reason}",
            turn.event.event_type,
            times.of(turn)
        );
    }
    let steps: Vec<_> = plan.steps().collect();
    for (n, (ix, step)) in steps.iter().enumerate() {
        let is_last = n + 1 == steps.len() && state.status != Status::Cancelled;
        let (branch, rail) = if is_last {
            ("└─", "   ")
        } else {
            ("├─", "│  ")
        };
        let known = state.steps.get(&step.name).cloned().unwrap_or_default();
        let _ = write!(text, "\n{branch} {:<10} {}", step.name, known.status);
        for line in times.story(plan, *ix, &known) {
            let _ = write!(text, "\n{rail}   {line}");
        }
    }
    if state.status == Status::Cancelled {
        let _ = write!(text, "\n└─ {} {}", last.event.event_type, times.of(last));
    }
    text
}

/// When the events of one saga happened, since its start.
struct Times<'a> {
    start: Timestamp,
    history: &'a [Recorded<State>],
}

impl Times<'_> {
    fn of(&self, event: &Recorded<State>) -> String {
        format!("+{}", human(event.stored_at.since(self.start)))
    }

    fn at(&self, id: EventId) -> String {
        self.history
            .iter()
            .find(|r| r.event.event_id == id)
            .map_or_else(|| "+?".to_owned(), |r| self.of(r))
    }

    /// What happened to a step, in its order.
    fn story(&self, plan: &Plan, ix: StepIx, step: &StepState) -> Vec<String> {
        let names = plan.step(ix);
        let undone = names.undone.as_ref().unwrap_or(&names.done);
        let outcomes = [
            (&names.done, &step.done),
            (&names.refused, &step.refused),
            (undone, &step.undone),
        ];
        let mut lines: Vec<String> = step
            .opened_by
            .map(|by| format!("opened {}", self.at(by)))
            .into_iter()
            .collect();
        lines.extend(outcomes.into_iter().filter_map(|(name, outcome)| {
            let outcome = outcome.as_ref()?;
            let attempts = outcome.attempt.unwrap_or(1);
            let plural = if attempts == 1 { "attempt" } else { "attempts" };
            let why = outcome
                .reason
                .as_ref()
                .map(|why| format!(": {}", plain(why)))
                .unwrap_or_default();
            Some(format!(
                "{name} {}, {attempts} {plural}{why}",
                self.at(outcome.event_id)
            ))
        }));
        if let Some(stuck) = &step.stuck {
            lines.push(format!(
                "STUCK going {} since {}: {}",
                stuck.direction,
                stuck.since,
                plain(&stuck.reason)
            ));
        } else if step.status == StepStatus::Open {
            lines.push("no outcome yet".to_owned());
        }
        lines
    }
}
