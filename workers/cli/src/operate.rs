use anyhow::Context as _;
use checkout::{Checkout, check_payload};
use jetsaga::{
    Event, EventId, Freshness, Journal, Nats, Payload, Plan, State, Token,
    engine::{Statement, resolve as record},
    now,
    saga::StepIx,
    subject::EntitySubject,
};
use serde::Serialize;
use serde_json::json;

use crate::{
    fsck::owed,
    output::{Output, plain},
    place,
};

/// Flags of `resolve`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Resolve {
    /// The order.
    id: Token,
    /// The step: payment, inventory or shipping.
    step: Token,
    #[command(flatten)]
    statement: Stated,
    /// Why, and how you know; it becomes part of the event.
    #[arg(long, value_parser = note)]
    note: String,
    /// Who says so.
    #[arg(long, env = "USER", default_value = "operator")]
    by: String,
    /// Also where the step does not show as stuck.
    #[arg(long)]
    force: bool,
}

/// What happened outside.
#[derive(clap::Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct Stated {
    /// The effect happened: the JSON payload of the event that says so.
    #[arg(long, value_name = "JSON")]
    happened: Option<String>,
    /// The effect did not happen, and never will.
    #[arg(long)]
    did_not_happen: bool,
    /// The effect was taken back: the JSON payload of the event that says so.
    #[arg(long, value_name = "JSON")]
    taken_back: Option<String>,
}

/// What was done.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    id: Token,
    told: Vec<(Token, u64)>,
}

/// Records the outcome of a step on a person's word, and has whoever waits for it go on.
pub(crate) async fn resolve(nats: &Nats, args: Resolve, out: Output) -> anyhow::Result<()> {
    let (journal, plan) = (Journal::new(nats), Plan::of::<Checkout>()?);
    let names: Vec<_> = plan.steps().map(|(_, step)| step.name.as_str()).collect();
    let step = plan
        .find(args.step.as_str())
        .with_context(|| format!("there is no step {}; there are {}", args.step, names.join(", ")))?;
    let statement = statement(&plan, step, &args)?;
    let which = (&args.id, step);
    let recorded = record(
        &journal,
        &plan,
        which,
        &statement,
        (&args.by, &args.note),
        args.force,
    )
    .await?;
    // Nobody hears of the success of a step whose saga has turned in the meantime: its worker takes it back.
    go_on(&journal, &plan, &args.id).await?;
    out.print(&recorded.event, |event| {
        format!(
            "{} is recorded for {}, sequence {}",
            event.event_type, args.id, recorded.sequence
        )
    })
}

/// Has everybody who owes an order something try again now, with their attempts counted anew.
pub(crate) async fn retry(nats: &Nats, id: Token, out: Output) -> anyhow::Result<()> {
    let (journal, plan) = (Journal::new(nats), Plan::of::<Checkout>()?);
    let told = go_on(&journal, &plan, &id).await?;
    let state = journal
        .last::<State>(&EntitySubject::new(&plan.saga, &id), Freshness::Leader)
        .await?
        .with_context(|| format!("there is no order {id}"))?
        .state;
    anyhow::ensure!(
        !told.is_empty(),
        "{id} is {}, and nobody owes it anything",
        state.status
    );
    out.print(&Done { id, told }, |done| {
        let told = done
            .told
            .iter()
            .map(|(worker, sequence)| format!("{worker} is told of event {sequence} again"));
        told.collect::<Vec<_>>().join("\n")
    })
}

/// Asks the order worker to take an order back.
pub(crate) async fn cancel(nats: &Nats, id: Token, reason: &str, out: Output) -> anyhow::Result<()> {
    let plan = Plan::of::<Checkout>()?;
    let payload = Payload::of(&json!({"orderId": id, "reason": reason}))?;
    let event_type = plan.cancellation_requested.clone();
    let event_id = EventId::derived("cancel", id.as_str(), &now().to_string());
    let event = Event::<()>::new(event_id, event_type.clone(), now(), payload);
    let answer = place::ask(nats, event_type.as_str(), &serde_json::to_vec(&event)?).await?;
    let (ok, which) = (answer.ok, format!("the cancellation of {id}"));
    out.print(&answer, |answer| place::text(answer, &which))?;
    anyhow::ensure!(ok, "{id} is not cancelled");
    Ok(())
}

async fn go_on(journal: &Journal, plan: &Plan, id: &Token) -> anyhow::Result<Vec<(Token, u64)>> {
    let history = journal
        .history::<State>(&EntitySubject::new(&plan.saga, id))
        .await?;
    let owed = owed(plan, &history)?;
    for (worker, sequence) in &owed {
        journal.nudge(worker, *sequence).await?;
    }
    Ok(owed)
}

fn statement(plan: &Plan, ix: StepIx, args: &Resolve) -> anyhow::Result<Statement> {
    let step = plan.step(ix);
    let read = |event_type: &Token, text: &str| {
        let payload: Payload =
            serde_json::from_str(text).map_err(|error| anyhow::anyhow!("the payload is no JSON: {error}"))?;
        check_payload(event_type.as_str(), &payload)
            .map_err(|why| anyhow::anyhow!("{event_type}: {}", plain(&why)))?;
        Ok::<_, anyhow::Error>(payload)
    };
    Ok(match (&args.statement.happened, &args.statement.taken_back) {
        (Some(text), _) => Statement::Happened(read(&step.done, text)?),
        (None, Some(text)) => {
            let undone = step
                .undone
                .as_ref()
                .with_context(|| format!("step {} has no undo", step.name))?;
            Statement::TakenBack(read(undone, text)?)
        }
        (None, None) => {
            let refusal = json!({"orderId": args.id, "reason": args.note});
            Statement::DidNotHappen(Payload::of(&refusal)?)
        }
    })
}

fn note(text: &str) -> Result<String, String> {
    let long = text.chars().count() > 500;
    if text.trim().is_empty() || long || text.chars().any(char::is_control) {
        return Err("a note takes 1 to 500 characters on one line".to_owned());
    }
    Ok(text.to_owned())
}
