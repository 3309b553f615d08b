use anyhow::{Context as _, bail};
use checkout::{
    Checkout,
    books::{Bucket, Open, Report},
};
use jetsaga::{
    Journal, Nats, Plan, Recorded, State, Token, Topology, nudge,
    saga::{OwnerAction, OwnerTrigger, StepAction, decide, decide_owner},
    subject::{EVENTS, EntitySubject, KV_STATE, OWNER},
};

use crate::record;

/// Rebuilds what can be rebuilt, and says in a sentence each what was done. The journal is never touched.
///
/// # Errors
/// When the bucket differs, but holds what the journal no longer has; nothing is done then.
pub(super) async fn repair(nats: &Nats, report: &Report) -> anyhow::Result<Vec<String>> {
    let mut done = Vec::new();
    if let Some(filled) = bucket(nats, &report.bucket).await? {
        done.push(filled);
    }
    let journal = Journal::open(nats).await?;
    let plan = Plan::of::<Checkout>()?;
    for open in &report.open {
        done.extend(carry_on(&journal, &plan, open).await?);
    }
    Ok(done)
}

/// Has the server fill the bucket from the journal, if it differs and holds nothing else.
async fn bucket(nats: &Nats, bucket: &Bucket) -> anyhow::Result<Option<String>> {
    if bucket.wrong.is_empty() && bucket.foreign.is_empty() {
        return Ok(None);
    }
    if let Some(first) = bucket.foreign.first() {
        let count = bucket.foreign.len();
        bail!(
            "the bucket is not rebuilt: it keeps {count} keys that the journal has no event of, {first} first, and they \
             would be lost. If they are wrong, delete the stream {KV_STATE} and create it with `jetsaga topology ensure`"
        );
    }
    let events = nats.jetstream.get_stream(EVENTS).await?;
    let info = events.cached_info();
    let (replicas, last) = (info.config.num_replicas, info.state.last_sequence);
    let wanted = Topology::new(replicas)
        .streams
        .into_iter()
        .find(|stream| stream.name == KV_STATE);
    let wanted = wanted.context("the topology has no bucket")?;
    nats.jetstream.delete_stream(KV_STATE).await?;
    nats.jetstream.create_stream(wanted).await?;
    record::filled(nats, last).await?;
    let wrong = bucket.wrong.len();
    Ok(Some(format!(
        "the bucket is rebuilt from the journal; {wrong} keys differed"
    )))
}

/// Hands an open order on to whoever owes it something.
async fn carry_on(journal: &Journal, plan: &Plan, open: &Open) -> anyhow::Result<Vec<String>> {
    let mut done = Vec::new();
    if !open.stranded && open.without_timer.is_none() {
        return Ok(done);
    }
    let id = &open.id;
    let history = journal
        .history::<State>(&EntitySubject::new(&plan.saga, id))
        .await?;
    let owner = Token::new(OWNER)?;
    let first = history.first().filter(|_| open.without_timer.is_some());
    if let Some(first) = first {
        // The owner arms the deadline of every saga that it hears of.
        nudge(journal.nats(), &owner, first.sequence).await?;
        done.push(format!(
            "{id}: {OWNER} is told of event {} again, to arm its deadline",
            first.sequence
        ));
    }
    let owed = if open.stranded {
        owed(plan, &history, &owner)
    } else {
        Vec::new()
    };
    for (worker, sequence) in owed {
        nudge(journal.nats(), &worker, sequence).await?;
        done.push(format!("{id}: {worker} is told of event {sequence} again"));
    }
    Ok(done)
}

/// Who owes the saga something, and the event that they have to be told of.
fn owed(plan: &Plan, history: &[Recorded<State>], owner: &Token) -> Vec<(Token, u64)> {
    let Some(last) = history.last() else {
        return Vec::new();
    };
    let state = &last.state;
    let mut owed = Vec::new();
    for (ix, step) in plan.steps() {
        let opened_by = state.step(plan, ix).and_then(|step| step.opened_by);
        let opener = history.iter().find(|it| Some(it.event.event_id) == opened_by);
        let trigger = opener.filter(|it| decide(plan, state, ix, it.event.event_id) == StepAction::Run);
        let trigger = trigger.unwrap_or(last);
        if decide(plan, state, ix, trigger.event.event_id) != StepAction::Nothing {
            owed.push((step.name.clone(), trigger.sequence));
        }
    }
    if decide_owner(plan, state, OwnerTrigger::Event) != OwnerAction::Nothing {
        owed.push((owner.clone(), last.sequence));
    }
    owed
}
