//! The fields that a newer worker writes and this code does not know: how many of the entity's events newer workers wrote,
//! and a number that no float would give back as it was written.

use std::collections::BTreeMap;

use saga::{Event, Payload, State};
use serde_json::value::RawValue;

use super::armed::has_more;

const EVENTS: &str = "newerEvents";
const WEIGHT: &str = "newerWeight";

/// What a newer worker adds to every state of a saga that it writes: the count, and the number in the start and in each
/// outcome.
pub(crate) fn enrich(state: &mut State) {
    if !has_more() {
        return;
    }
    if let Some(count) = one_more(state.more.get(EVENTS)) {
        state.more.insert(EVENTS, count);
    }
    let steps = state.steps.values_mut();
    let outcomes = steps.flat_map(|step| [&mut step.done, &mut step.refused, &mut step.undone]);
    let mut places: Vec<_> = outcomes.flatten().map(|outcome| &mut outcome.more).collect();
    places.push(&mut state.start.more);
    for more in places {
        if let (None, Some(weight)) = (more.get(WEIGHT), weight()) {
            more.insert(WEIGHT, weight);
        }
    }
}

/// What it adds to every state that it appends and that is no saga's: the count and the number, and the number in each
/// object of the state's lists. Whoever appends does not hear of it, as if the fold of newer code had not kept it in mind:
/// it is added again to what he appends on top.
pub(crate) fn ahead(body: Vec<u8>) -> Vec<u8> {
    if !has_more() {
        return body;
    }
    added(&body).unwrap_or(body)
}

type Object = BTreeMap<Box<str>, Payload>;

fn added(body: &[u8]) -> Option<Vec<u8>> {
    if serde_json::from_slice::<Event<State>>(body).is_ok() {
        return None;
    }
    let mut event: Event<Object> = serde_json::from_slice(body).ok()?;
    let state = event.state.as_mut()?;
    for value in state.values_mut() {
        if let Ok(mut list) = value.read::<Vec<Object>>() {
            for object in &mut list {
                object.insert(WEIGHT.into(), weight()?);
            }
            *value = Payload::of(&list).ok()?;
        }
    }
    state.insert(EVENTS.into(), one_more(state.get(EVENTS))?);
    state.insert(WEIGHT.into(), weight()?);
    serde_json::to_vec(&event).ok()
}

fn one_more(count: Option<&Payload>) -> Option<Payload> {
    let count = count.and_then(|count| count.read::<u64>().ok());
    Payload::of(&(count.unwrap_or(0) + 1)).ok()
}

fn weight() -> Option<Payload> {
    let text = RawValue::from_string("1.50".to_owned()).ok()?;
    Payload::of(&text).ok()
}
