//! What the engine relies on, asked of any broker: the server in memory, on which the simulation rests, has to answer
//! as a real one does.
//!
//! Each check is a function of a [`Place`] that nobody else uses, and says in an error what was otherwise.

mod appends;
mod deliveries;
mod place;
mod reads;
mod schedules;

pub use place::Place;

use anyhow::Context as _;

/// Asks everything of a place.
///
/// # Errors
/// Names the check that failed, and what was otherwise.
pub async fn conforms(place: &Place) -> anyhow::Result<()> {
    appends::guards(place).await.context("guards")?;
    appends::unguarded(place).await.context("no guards")?;
    appends::marks(place).await.context("marks")?;
    appends::chains(place).await.context("chains")?;
    reads::reads(place).await.context("reads")?;
    reads::bucket(place).await.context("the bucket")?;
    reads::removals(place).await.context("removals")?;
    deliveries::answers(place).await.context("answers")?;
    deliveries::expiry(place).await.context("expiry")?;
    deliveries::signs_of_life(place).await.context("signs of life")?;
    deliveries::window(place).await.context("the window")?;
    deliveries::work_queue(place).await.context("the work queue")?;
    schedules::future(place).await.context("a schedule")?;
    schedules::past(place).await.context("a schedule in the past")?;
    schedules::again(place)
        .await
        .context("a schedule that is armed again")
}

/// A subject's headers: a guard on what this filter matches.
fn guarded(guard: u64, filter: Option<&str>) -> async_nats::HeaderMap {
    let mut headers = async_nats::HeaderMap::new();
    headers.insert(
        "Nats-Expected-Last-Subject-Sequence",
        async_nats::HeaderValue::from(guard),
    );
    if let Some(filter) = filter {
        headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", filter);
    }
    headers
}
