use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use checkout::{
    Checkout, OrderCreated,
    books::{Books, Report},
};
use jetsaga::{Plan, Recorded, State, Status, saga::evolve};
use jetsaga_cli::record::{Ledger, Live, until_rest};

use serde_json::Value;

use super::{PATIENCE, System, clean, until};

/// The event types of a history, in their order.
pub fn types(history: &[Recorded<State>]) -> Vec<&str> {
    history
        .iter()
        .map(|event| event.event.event_type.as_str())
        .collect()
}

/// A history is one chain: each event rests on the one before it, no type comes twice, and folding the payloads
/// again gives the state that each event carries, or what newer code made of it.
///
/// # Errors
/// Names the event that breaks it.
pub fn chained(history: &[Recorded<State>]) -> Result<()> {
    let plan = Plan::of::<Checkout>()?;
    let mut seen = BTreeSet::new();
    let mut before: Option<&Recorded<State>> = None;
    for event in history {
        let name = format!("{} at {}", event.event.event_type, event.sequence);
        let guard = before.map_or(0, |before| before.sequence);
        ensure!(
            event.guard == guard,
            "{name} rests on {}, not on {guard}",
            event.guard
        );
        let known = event.event.event_type.as_str() == "StepStuck" || seen.insert(&event.event.event_type);
        ensure!(known, "{name} comes twice");
        let state = evolve(
            &plan,
            before.map(|before| &before.state),
            &event.event,
            &event.state.id,
            guard,
        )
        .with_context(|| name.clone())?;
        ensure!(
            event.state.extends(&state),
            "{name} carries {:?}, but it folds to {state:?}",
            event.state
        );
        before = Some(event);
    }
    Ok(())
}

/// Every one of these orders is in one final state by one chain, the money outside agrees, and so do the books of the whole
/// system once it is at rest. Returns how many of the orders were completed.
///
/// # Errors
/// Names the order and what is wrong with it.
pub async fn audit<S>(system: &System<S>, ids: &[String]) -> Result<usize> {
    let completed = audit_orders(system, ids).await?;
    let report = system.report().await?;
    ensure!(report.holds(), "{report}");
    Ok(completed)
}

/// The same of a system at rest: all of these orders but `refused` are completed, their money is kept and no other, nothing
/// was buried, and `fsck` finds nothing. Returns what it counted.
///
/// # Errors
/// Names what is not so.
pub async fn ended_well<S>(system: &System<S>, ids: &[String], refused: usize) -> Result<Value> {
    let completed = audit(system, ids).await?;
    ensure!(completed == ids.len() - refused, "{completed} are completed");
    let books = system.provider.books().await?;
    ensure!(books.charges - books.refunds == completed as u64, "{books:?}");
    ensure!(system.letters.list().await?.is_empty(), "there are letters");
    let report = clean(system, &["--at-rest"]).await?;
    Ok(report["counts"].clone())
}

/// What [`audit`] says without the books, where something was done to the journal that they are right to find fault with.
///
/// # Errors
/// Names the order and what is wrong with it.
pub async fn audit_orders<S>(system: &System<S>, ids: &[String]) -> Result<usize> {
    let (mut completed, mut total) = (0, 0);
    for id in ids {
        let history = system.history(id).await?;
        chained(&history).with_context(|| id.clone())?;
        let last = history.last().with_context(|| format!("{id} has no event"))?;
        ensure!(last.state.is_final(), "{id} is {}", last.state.status);
        ensure!(last.state.stuck().next().is_none(), "{id} is stuck");
        if last.state.status == Status::Completed {
            completed += 1;
            total += last
                .state
                .start
                .payload
                .read::<OrderCreated>()?
                .total_amount
                .minor();
        }
        until(&format!("the bucket has the last state of {id}"), async || {
            let kept = system.journal.bucket::<State>(&system.entity(id)?).await?;
            Ok(kept.filter(|kept| kept.sequence == last.sequence && kept.state == last.state))
        })
        .await?;
    }
    let books = system.provider.books().await?;
    ensure!(
        books.charged - books.refunded == total,
        "{total} is due, but the ledger says {books:?}"
    );
    Ok(completed)
}

impl<S> System<S> {
    /// Waits until nothing is under way, and returns what the books say of everything that happened.
    ///
    /// # Errors
    /// When something does not come to rest, or cannot be read.
    pub async fn report(&self) -> Result<Report> {
        until_rest(&self.nats, PATIENCE).await?;
        let live = Live::open(&self.nats, Ledger::Provider(self.provider.url.clone()), true).await?;
        let mut books = Books::new(live.scope())?;
        live.read(&mut books).await?;
        Ok(books.close())
    }
}
