//! A run made by the product's own pure code, with everything that it leaves behind, as the lines of a recording.

use std::collections::BTreeMap;

use checkout::{
    Checkout,
    books::{Books, Report, Scope, Source},
    stock::{
        Adjustment, Append, Items, Key, Ledger, Named, Next, Observed, Operation, Product, Reservation, Seen,
        Write,
    },
};
use saga::{Event, EventId, Payload, Plan, State, Timestamp, Token, evolve};
use serde::Serialize;
use serde_json::{Value, json};

/// The lines of each account; a test spoils some of them.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) journal: Vec<Value>,
    pub(crate) ledger: Vec<Value>,
    pub(crate) letters: Vec<Value>,
    pub(crate) history: Vec<Value>,
    pub(crate) consumers: Value,
    pub(crate) schedules: Vec<Value>,
    /// What the bucket keeps other than the last event of each entity.
    pub(crate) bucket: BTreeMap<String, Option<Value>>,
    sagas: BTreeMap<Token, State>,
    products: BTreeMap<Token, Seen<Product>>,
    reservations: BTreeMap<Token, Seen<Reservation>>,
    adjustments: BTreeMap<Token, Seen<Adjustment>>,
}

pub(crate) fn token(text: &str) -> Token {
    text.parse().unwrap()
}

impl Run {
    /// An order that is placed and goes no further. Returns the id of its first event.
    pub(crate) fn place(&mut self, id: &str, sku: &str, quantity: u32) -> EventId {
        let event = EventId::derived("test", id, "OrderCreated");
        let payload = json!({"orderId": id, "customerId": "C1", "items": [{"productId": sku, "quantity": quantity}],
            "totalAmount": 75.5, "shippingAddress": {"street": "1 Main St", "city": "Anytown", "zip": "12345"}});
        let order: checkout::OrderCreated = serde_json::from_value(payload).unwrap();
        let payload = Payload::of(&order).unwrap();
        let deadline = Some("2026-01-01T00:15:00Z".parse().unwrap());
        let event_type = token("OrderCreated");
        self.append_saga(
            id,
            Event {
                deadline,
                ..Event::new(event, event_type, Timestamp::EPOCH, payload)
            },
        );
        self.schedules
            .push(json!({"stream": "TIMERS", "subject": format!("timer.checkout.{id}.deadline")}));
        self.ask(
            id,
            "OrderCreated",
            event,
            "good",
            "ok",
            Some(self.journal.len() as u64),
        );
        event
    }

    pub(crate) fn pay(&mut self, id: &str, cause: EventId) -> EventId {
        self.line("charge", id, "run");
        self.tell(
            id,
            "PaymentProcessed",
            cause,
            &json!({"orderId": id, "paymentId": "P", "amount": 75.5}),
            None,
        )
    }

    pub(crate) fn refund(&mut self, id: &str, cause: EventId) -> EventId {
        self.line("refund", id, "undo");
        self.tell(
            id,
            "PaymentRefunded",
            cause,
            &json!({"orderId": id, "refundId": "R", "amount": 75.5}),
            None,
        )
    }

    pub(crate) fn reserve(&mut self, id: &str, cause: EventId) -> EventId {
        self.carry_out(Operation::reserve(token(id), self.items(id)));
        self.tell(id, "InventoryReserved", cause, &json!({"orderId": id}), None)
    }

    pub(crate) fn release(&mut self, id: &str, cause: EventId) -> EventId {
        self.carry_out(Operation::release(token(id)));
        self.tell(id, "InventoryReleased", cause, &json!({"orderId": id}), None)
    }

    pub(crate) fn refuse(&mut self, id: &str, what: &str, cause: EventId) -> EventId {
        self.tell(id, what, cause, &no(id), Some("no"))
    }

    pub(crate) fn items(&self, id: &str) -> Items {
        let order: checkout::OrderCreated = self.sagas[&token(id)].start.payload.read().unwrap();
        Items::merge(&order.items).unwrap()
    }

    pub(crate) fn line(&mut self, kind: &str, id: &str, way: &str) {
        let seq = self.ledger.len() + 1;
        let mut line = json!({"seq": seq, "at": 1, "kind": kind, "key": format!("checkout:{id}:payment:{way}"),
            "amount": 7550, "reference": id});
        if kind == "refund" {
            line["charge_key"] = json!(format!("checkout:{id}:payment:run"));
        }
        self.ledger.push(line);
    }

    pub(crate) fn ask(
        &mut self,
        id: &str,
        what: &str,
        event: EventId,
        expected: &str,
        outcome: &str,
        sequence: Option<u64>,
    ) {
        self.history.push(
            json!({"orderId": id, "eventId": event, "eventType": what, "askedAt": Timestamp::EPOCH,
            "outcome": outcome, "expected": expected, "sequence": sequence}),
        );
    }

    /// Appends an event of a saga as the engine would, and returns its id.
    pub(crate) fn tell(
        &mut self,
        id: &str,
        what: &str,
        cause: EventId,
        payload: &Value,
        reason: Option<&str>,
    ) -> EventId {
        let event_id = EventId::derived("checkout", id, what);
        let payload = Payload::of(payload).unwrap();
        self.append_saga(
            id,
            Event {
                causation_id: Some(cause),
                reason: reason.map(str::to_owned),
                attempt: Some(1),
                ..Event::new(event_id, token(what), Timestamp::EPOCH, payload)
            },
        );
        event_id
    }

    fn append_saga(&mut self, id: &str, event: Event<()>) {
        let plan = Plan::of::<Checkout>().unwrap();
        let guard = self.last("checkout", id);
        let state = evolve(&plan, self.sagas.get(&token(id)), &event, &token(id), guard).unwrap();
        self.sagas.insert(token(id), state.clone());
        self.append("checkout", id, guard, &event.with_state(Some(state)));
    }

    fn append<S: Serialize>(&mut self, kind: &str, id: &str, guard: u64, event: &Event<S>) -> u64 {
        let sequence = self.journal.len() as u64 + 1;
        self.journal.push(
            json!({"sequence": sequence, "subject": format!("evt.{kind}.{}.{id}", event.event_type),
            "guard": guard, "time": "2026-01-01T00:00:00Z", "body": event}),
        );
        sequence
    }

    /// The last sequence of an entity.
    pub(crate) fn last(&self, kind: &str, id: &str) -> u64 {
        let last = self.journal.iter().rev().find(|line| {
            let parts: Vec<&str> = line["subject"].as_str().unwrap().split('.').collect();
            parts[1] == kind && parts[3] == id
        });
        last.map_or(0, |line| line["sequence"].as_u64().unwrap())
    }

    /// Runs an operation on stock to its end.
    pub(crate) fn carry_out(&mut self, mut operation: Operation) {
        let mut seen = Observed::Nothing;
        loop {
            seen = match operation.next(seen) {
                Next::Load {
                    key: Key::Product(id),
                    ..
                } => Observed::Product(self.products.get(&id).cloned()),
                Next::Load {
                    key: Key::Reservation(id),
                    ..
                } => Observed::Reservation(self.reservations.get(&id).cloned()),
                Next::Load {
                    key: Key::Adjustment(id),
                    ..
                } => Observed::Adjustment(self.adjustments.get(&id).cloned()),
                Next::Append(Append::Product(write)) => self.write(&write, |run| &mut run.products),
                Next::Append(Append::Reservation(write)) => self.write(&write, |run| &mut run.reservations),
                Next::Append(Append::Adjustment(write)) => self.write(&write, |run| &mut run.adjustments),
                Next::Done(_) => return,
                Next::Broken(why) => panic!("{why}"),
            };
        }
    }

    fn write<E: Ledger>(
        &mut self,
        write: &Write<E>,
        of: fn(&mut Self) -> &mut BTreeMap<Token, Seen<E>>,
    ) -> Observed {
        let id = EventId::derived(E::KIND, write.id.as_str(), &write.guard.to_string());
        let event_type = token(write.fact.event_type());
        let event = Event::<()>::new(id, event_type, Timestamp::EPOCH, write.json().unwrap());
        let state = write.after().unwrap();
        let event = event.with_state(Some(state.clone()));
        let sequence = self.append(E::KIND, write.id.as_str(), write.guard, &event);
        of(self).insert(write.id.clone(), Seen { state, sequence });
        Observed::Appended(sequence)
    }

    /// The message of the journal with this type and id.
    pub(crate) fn event(&mut self, what: &str, id: &str) -> &mut Value {
        let end = format!(".{what}.{id}");
        let found = self
            .journal
            .iter_mut()
            .find(|line| line["subject"].as_str().unwrap().ends_with(&end));
        found.unwrap_or_else(|| panic!("there is no {what} of {id}"))
    }

    /// Takes a message of the journal out, and lets what followed rest on what was before it, with sequences kept.
    pub(crate) fn take_out(&mut self, what: &str, id: &str) {
        let gone = self.event(what, id).clone();
        self.journal.retain(|line| *line != gone);
        for line in &mut self.journal {
            if line["guard"] == gone["sequence"] {
                line["guard"] = gone["guard"].clone();
            }
        }
    }

    /// What the books say of it.
    pub(crate) fn close(&self, scope: Scope) -> Report {
        let mut books = Books::new(scope).unwrap();
        for source in Source::ALL {
            books.given(source);
            for line in self.lines(source) {
                books.read(source, &line.to_string()).unwrap();
            }
        }
        books.close()
    }

    fn lines(&self, source: Source) -> Vec<Value> {
        match source {
            Source::Journal => self.journal.clone(),
            Source::Bucket => self.bucket(),
            Source::Letters => self.letters.clone(),
            Source::Ledger => self.ledger.clone(),
            Source::History => self.history.clone(),
            Source::Consumers => vec![self.consumers.clone()],
            Source::Schedules => self.schedules.clone(),
        }
    }

    fn bucket(&self) -> Vec<Value> {
        let mut kept = BTreeMap::new();
        for line in &self.journal {
            let parts: Vec<&str> = line["subject"].as_str().unwrap().split('.').collect();
            let key = format!("{}.{}", parts[1], parts[3]);
            kept.insert(
                key.clone(),
                json!({"key": key, "sequence": line["sequence"], "body": line["body"]}),
            );
        }
        for (key, spoilt) in &self.bucket {
            match spoilt {
                Some(line) => drop(kept.insert(key.clone(), line.clone())),
                None => drop(kept.remove(key)),
            }
        }
        kept.into_values().collect()
    }
}

/// The payload of a refusal, and of an end.
pub(crate) fn no(id: &str) -> Value {
    json!({"orderId": id, "reason": "no"})
}
