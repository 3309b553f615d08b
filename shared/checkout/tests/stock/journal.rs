//! A journal in memory that folds every event through `saga::Entity`, and the driver: the whole of it.

use std::collections::BTreeMap;

use checkout::stock::{
    Adjustment, AdjustmentStatus, Append, Key, Ledger, Move, Next, Observed, Operation, Outcome, Product,
    Reservation, ReservationStatus, Seen, Write,
};
use saga::{Event, EventId, Timestamp, Token};

#[derive(Default)]
pub struct Journal {
    products: BTreeMap<Token, Seen<Product>>,
    reservations: BTreeMap<Token, Seen<Reservation>>,
    adjustments: BTreeMap<Token, Seen<Adjustment>>,
    sequence: u64,
    /// Loads and appends so far.
    pub cost: (u64, u64),
    /// Whether appends happen, but nobody hears of it.
    pub loses_answers: bool,
}

impl Journal {
    /// Runs an operation to its end.
    pub fn run(&mut self, mut operation: Operation) -> Outcome {
        for _ in 0..10_000 {
            if let Some(outcome) = self.step(&mut operation) {
                return outcome;
            }
        }
        panic!("{operation:?} does not end");
    }

    /// Performs what an operation asks for next, and tells it the answer. Its outcome, if that was all.
    pub fn step(&mut self, operation: &mut Operation) -> Option<Outcome> {
        let answer = match operation.next(Observed::Nothing) {
            Next::Load { key, .. } => self.load(&key),
            Next::Append(Append::Product(write)) => self.append(&write, |j| &mut j.products),
            Next::Append(Append::Reservation(write)) => self.append(&write, |j| &mut j.reservations),
            Next::Append(Append::Adjustment(write)) => self.append(&write, |j| &mut j.adjustments),
            Next::Done(outcome) => return Some(outcome),
            Next::Broken(why) => panic!("broken: {why}"),
        };
        match operation.next(answer) {
            Next::Done(outcome) => Some(outcome),
            _ => None,
        }
    }

    pub fn product(&self, sku: &Token) -> Product {
        self.products
            .get(sku)
            .map(|seen| seen.state.clone())
            .unwrap_or_default()
    }

    pub fn take_cost(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.cost)
    }

    fn load(&mut self, key: &Key) -> Observed {
        self.cost.0 += 1;
        match key {
            Key::Product(id) => Observed::Product(self.products.get(id).cloned()),
            Key::Reservation(id) => Observed::Reservation(self.reservations.get(id).cloned()),
            Key::Adjustment(id) => Observed::Adjustment(self.adjustments.get(id).cloned()),
        }
    }

    fn append<E: Ledger>(
        &mut self,
        write: &Write<E>,
        entities: fn(&mut Self) -> &mut BTreeMap<Token, Seen<E>>,
    ) -> Observed {
        let current = entities(self).get(&write.id).cloned();
        if current.as_ref().map_or(0, |seen| seen.sequence) != write.guard {
            return Observed::Conflict;
        }
        self.cost.1 += 1;
        self.sequence += 1;
        let sequence = self.sequence;
        let event_type = write.event_type().parse().unwrap();
        let id = EventId::derived(E::KIND, write.id.as_str(), &sequence.to_string());
        let event = Event::<()>::new(id, event_type, Timestamp::EPOCH, write.json().unwrap());
        let state = E::evolve(current.as_ref().map(|seen| &seen.state), &event, &write.id).unwrap();
        assert_eq!(
            state,
            write.after().unwrap(),
            "the fold of the JSON is the fold of the value"
        );
        let stored = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        assert_eq!(state, stored, "a state survives its JSON");
        entities(self).insert(write.id.clone(), Seen { state, sequence });
        if self.loses_answers {
            Observed::Unknown
        } else {
            Observed::Appended(sequence)
        }
    }

    /// The books, at rest.
    pub fn check(&self) {
        for (sku, Seen { state, .. }) in &self.products {
            let orders = self.reservations.values().map(|seen| &seen.state);
            let of = |status| {
                let mine = orders.clone().filter(move |r: &&Reservation| r.status == status);
                mine.filter_map(|r| r.items.quantity(sku))
                    .map(u64::from)
                    .sum::<u64>()
            };
            let adjusted = self.adjustments.values().map(|seen| &seen.state);
            let mine = adjusted.filter(|a| a.sku == *sku && a.status == AdjustmentStatus::Applied);
            let entered: i64 = mine.map(|a| a.quantity).sum();
            assert_eq!(state.reserved, of(ReservationStatus::Held), "{sku} {state:?}");
            assert_eq!(state.shipped, of(ReservationStatus::Shipped), "{sku} {state:?}");
            assert_eq!(
                i64::try_from(state.on_hand + state.reserved + state.shipped),
                Ok(entered)
            );
            assert!(
                state
                    .in_flight
                    .iter()
                    .all(|entry| self.is_recorded(entry.mark.kind, &entry.mark.id))
            );
        }
    }

    fn is_recorded(&self, kind: Move, id: &Token) -> bool {
        let status = self.reservations.get(id).map(|seen| seen.state.status);
        match kind {
            Move::Hold => status
                .is_some_and(|s| !matches!(s, ReservationStatus::Refused | ReservationStatus::Forbidden)),
            Move::Release => status == Some(ReservationStatus::Released),
            Move::Ship => status == Some(ReservationStatus::Shipped),
            Move::Adjust => self
                .adjustments
                .get(id)
                .is_some_and(|seen| seen.state.status == AdjustmentStatus::Applied),
        }
    }
}
