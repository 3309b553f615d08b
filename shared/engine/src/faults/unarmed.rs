//! Without the feature: nothing.

use std::{future::Future, sync::Arc};

use saga::{EffectKey, EventId, OwnerTrigger, Plan, State};

use super::{Flaw, Point};
use crate::{
    AppendError, Effect, broker::Link, delivery::Delivery, ladder::Seen, setback::Setback,
    subject::EntitySubject,
};

/// An answer that was lost. Without the feature there is none.
pub(crate) enum Lost {}

pub(crate) async fn reach(_: Point) -> Result<(), Lost> {
    Ok(())
}

pub(crate) const fn flawed(_: Flaw) -> bool {
    false
}

pub(crate) async fn survived(_: &Link, _: &str, _: &Delivery, work: impl Future<Output = ()>) {
    work.await;
}

pub(crate) const fn warp(_: &Plan, _: &mut State, _: Option<OwnerTrigger>, _: EventId) {}

pub(crate) const fn enrich(_: &mut State) {}

pub(crate) const fn ahead(body: Vec<u8>) -> Vec<u8> {
    body
}

pub(crate) const fn version(_: &Link, plan: Arc<Plan>) -> Arc<Plan> {
    plan
}

pub(crate) fn finished(seen: Seen) -> Seen {
    seen
}

pub(crate) fn another_guard(entity: &EntitySubject) -> String {
    entity.guard()
}

pub(crate) fn fresh_key(effect: &Effect) -> EffectKey {
    effect.forward_key()
}

impl From<Lost> for Setback {
    fn from(lost: Lost) -> Self {
        match lost {}
    }
}

impl From<Lost> for AppendError {
    fn from(lost: Lost) -> Self {
        match lost {}
    }
}
