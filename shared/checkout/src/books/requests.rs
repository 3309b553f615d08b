use std::collections::HashMap;

use saga::{Event, EventId, Token};
use serde::Deserialize;

use super::{
    Answered, Expected, Finds, Found, Invariant, Letter, Request, lines::Name, order::Order, path::End,
};

const CREATED: &str = "OrderCreated";
const CANCELLATION: &str = "OrderCancellationRequested";
/// The reasons that the engine writes.
const REASONS: [&str; 6] = [
    "undecodable",
    "invalid",
    "conflict",
    "unknown",
    "newer-version",
    "exhausted",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    order_id: String,
}

impl Letter {
    /// The order that it is about, if it says so.
    pub(super) fn order(&self) -> Option<Token> {
        let event = serde_json::from_str::<Event<()>>(&self.body).ok();
        let named = event.and_then(|event| event.payload.read::<Named>().ok());
        let named = named.and_then(|named| Token::new(&named.order_id).ok());
        named.or_else(|| Name::of_subject(&self.subject).map(|(name, _)| name.id))
    }

    fn event(&self) -> Option<EventId> {
        serde_json::from_str::<Event<()>>(&self.body)
            .ok()
            .map(|event| event.event_id)
    }

    fn said(&self) -> String {
        format!(
            "letter {} ({}, {}#{} as {} met it: {})",
            self.sequence, self.reason, self.stream, self.stream_sequence, self.consumer, self.detail
        )
    }

    /// A letter names who buried it and why.
    pub(super) fn is_reasoned(&self, finds: &mut Finds<'_>) {
        if !REASONS.contains(&self.reason.as_str()) || self.detail.is_empty() || self.consumer.is_empty() {
            finds.add(
                Invariant::I11,
                format!("{} names no reason or no consumer", self.said()),
            );
        }
    }
}

/// Which letters were faults that somebody made on purpose.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// What was sent, by the id of its event.
    by_event: HashMap<EventId, Fault>,
    /// Bad requests that named no event.
    nameless: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Fault {
    bad: bool,
    /// A cancellation that was told no: it came too late, or for nothing.
    late: bool,
}

impl Faults {
    pub(super) fn learn(&mut self, request: &Request) {
        let bad = request.expected == Expected::Bad;
        let late = request.event_type == CANCELLATION && request.outcome != Answered::Ok;
        match request.event_id {
            Some(id) => {
                let fault = self.by_event.entry(id).or_default();
                fault.bad |= bad;
                fault.late |= late;
            }
            None => self.nameless += u64::from(bad),
        }
    }

    /// Nothing is a letter that was not a fault.
    pub(super) fn check(&self, letters: &[Letter], out: &mut Vec<Found>) {
        let mut nameless = 0;
        for letter in letters {
            let fault = letter.event().map(|id| self.by_event.get(&id).copied());
            let meant = match fault {
                Some(Some(fault)) => fault.bad || fault.late,
                Some(None) => false,
                None => {
                    nameless += 1;
                    nameless <= self.nameless
                }
            };
            if !meant {
                let entity = letter
                    .order()
                    .map_or_else(|| "letters".to_owned(), |id| format!("checkout.{id}"));
                let sentence = format!("{} was no fault that anybody made", letter.said());
                out.push(Found {
                    invariant: Invariant::I11,
                    entity,
                    sentence,
                });
            }
        }
    }
}

/// One order against those who asked for it.
pub(super) fn check(order: &Order, at_rest: bool, finds: &mut Finds<'_>) {
    let asked = || {
        order
            .requests
            .iter()
            .filter(|request| request.event_type == CREATED)
    };
    let first = order.saga.lines.front();
    let Some(first) = first.filter(|_| order.path.begun) else {
        for request in asked().filter(|request| request.outcome == Answered::Ok) {
            finds.add(
                Invariant::I1,
                format!("it was accepted, but has no OrderCreated: {}", request.tell()),
            );
        }
        return;
    };
    if asked().next().is_none() {
        return finds.add(Invariant::I1, "OrderCreated, but nobody asked for it");
    }
    let mut own = asked()
        .filter(|request| request.event_id.is_some() && request.event_id == first.id)
        .peekable();
    if own.peek().is_none() {
        finds.add(
            Invariant::I1,
            "OrderCreated has the event id of no request for it",
        );
    } else if own.all(|request| request.outcome == Answered::Refused) {
        finds.add(
            Invariant::I1,
            "OrderCreated, but whoever asked for it was refused",
        );
    }
    if asked().all(|request| request.expected == Expected::Bad) {
        finds.add(
            Invariant::I1,
            "OrderCreated, but what asked for it should have been refused",
        );
    }
    let told = asked().filter(|request| request.outcome == Answered::Ok);
    for sequence in told
        .filter_map(|request| request.sequence)
        .filter(|s| *s != first.sequence)
    {
        finds.add(
            Invariant::I1,
            format!(
                "it was accepted as {sequence}, but its OrderCreated is {}",
                first.sequence
            ),
        );
    }
    cancellations(order, at_rest, finds);
}

/// A cancellation that was accepted has turned the order.
fn cancellations(order: &Order, at_rest: bool, finds: &mut Finds<'_>) {
    let accepted = |request: &&Request| request.event_type == CANCELLATION && request.outcome == Answered::Ok;
    if !order.requests.iter().any(|request| accepted(&request)) {
        return;
    }
    if order.path.end == Some(End::Completed) || (at_rest && !order.path.turned) {
        finds.add(
            Invariant::I1,
            "its cancellation was accepted, but nothing was taken back",
        );
    }
}
