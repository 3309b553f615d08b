use std::{fmt::Write as _, time::Duration};

use anyhow::Context as _;
use checkout::Checkout;
use jetsaga::{
    Freshness, Journal, Nats, Plan, Recorded, State, StepStatus, Timestamp, Token, saga::StepState,
    subject::EntitySubject,
};

use crate::output::{Output, human};

/// Shows one saga as a tree; waits for its end first if asked to.
pub(crate) async fn run(nats: &Nats, id: &Token, wait: Option<u64>, out: Output) -> anyhow::Result<()> {
    let journal = Journal::open(nats).await?;
    let plan = Plan::of::<Checkout>()?;
    let entity = EntitySubject::new(&plan.saga, id);
    if let Some(seconds) = wait {
        until_final(&journal, &entity, Duration::from_secs(seconds)).await?;
    }
    let found = journal.last::<State>(&entity, Freshness::Leader).await?;
    let found = found.with_context(|| format!("there is no order {id}"))?;
    out.print(&found.state, |_| tree(&plan, &found))
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
            anyhow::bail!("{} is not finished after {limit:?}", entity.id());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The saga as a tree: each step with its time since the start, its attempts and its reasons.
pub(crate) fn tree(plan: &Plan, found: &Recorded<State>) -> String {
    let state = &found.state;
    let start = state.start.at;
    let mut text = format!("{} {}  {}", state.saga, state.id, state.status);
    let _ = write!(text, "  ({} events, the last at sequence {})", state.events, found.sequence);
    let _ = write!(text, "\n├─ {}  {}", plan.start, start);
    if let Some(turn) = &state.turned {
        let _ = write!(text, "\n├─ turned by {}: {}", turn.event_type, turn.reason);
    }
    let last = plan.steps().count() - 1;
    for (ix, step) in plan.steps() {
        let branch = if ix.0 == last { "└─" } else { "├─" };
        let rail = if ix.0 == last { "   " } else { "│  " };
        let known = state.steps.get(&step.name).cloned().unwrap_or_default();
        let _ = write!(text, "\n{branch} {:<10} {:<9}", step.name, known.status);
        let _ = write!(text, " {}", when(&known, start).trim_end());
        for line in story(plan, ix, &known, start) {
            let _ = write!(text, "\n{rail}   {line}");
        }
    }
    text
}

/// How long the step was open.
fn when(step: &StepState, start: Timestamp) -> String {
    let ended = [&step.done, &step.refused].into_iter().flatten().map(|o| o.at).next();
    match (step.opened_at, ended) {
        (Some(opened), Some(ended)) => {
            format!("opened +{}, took {}", human(opened.since(start)), human(ended.since(opened)))
        }
        (Some(opened), None) => format!("opened +{}", human(opened.since(start))),
        _ => String::new(),
    }
}

/// What happened to the step, in its order.
fn story(plan: &Plan, ix: jetsaga::saga::StepIx, step: &StepState, start: Timestamp) -> Vec<String> {
    let names = plan.step(ix);
    let undone = names.undone.as_ref().map(ToString::to_string).unwrap_or_default();
    let all = [
        (names.done.to_string(), &step.done),
        (names.refused.to_string(), &step.refused),
        (undone, &step.undone),
    ];
    let mut lines: Vec<String> = all
        .into_iter()
        .filter_map(|(name, outcome)| outcome.as_ref().map(|outcome| (name, outcome)))
        .map(|(name, outcome)| {
            let attempts = outcome.attempt.unwrap_or(1);
            let plural = if attempts == 1 { "attempt" } else { "attempts" };
            let why = outcome.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            format!("{name} +{}, {attempts} {plural}{why}", human(outcome.at.since(start)))
        })
        .collect();
    if let Some(stuck) = &step.stuck {
        lines.push(format!("STUCK going {} since {}: {}", stuck.direction, stuck.since, stuck.reason));
    } else if step.status == StepStatus::Open {
        lines.push("no outcome yet".to_owned());
    }
    lines
}
