use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use engine::faults::{At, Happening, Point};

use super::{Place, Scenario, place::order_of};

/// What happens once to a message at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blow {
    /// Where.
    pub place: Place,
    /// A crash, or a lost answer.
    pub what: Happening,
}

/// What happens to the messages of every order, and where they were.
#[derive(Debug, Default)]
pub struct Board(Mutex<HashMap<String, Entry>>);

#[derive(Debug)]
struct Entry {
    scenario: &'static Scenario,
    blows: Vec<(Blow, bool)>,
    /// Messages that were dropped so that they come again.
    dropped: BTreeSet<(String, String)>,
    drop_everything_once: bool,
    met: BTreeSet<Place>,
}

impl Board {
    /// From now on these blows fall on the messages of this order, each once, in any order.
    pub fn set(&self, order: &str, scenario: &'static Scenario, blows: Vec<Blow>) {
        let blows = blows.into_iter().map(|blow| (blow, false)).collect();
        let entry = Entry::new(scenario, blows, false);
        self.entries().insert(order.to_owned(), entry);
    }

    /// The same, and every message of this order is dropped the first time, so that all of them come again.
    pub fn drop_everything_once(&self, order: &str, scenario: &'static Scenario, blows: Vec<Blow>) {
        let blows = blows.into_iter().map(|blow| (blow, false)).collect();
        let entry = Entry::new(scenario, blows, true);
        self.entries().insert(order.to_owned(), entry);
    }

    /// Where the messages of this order were.
    pub fn met(&self, order: &str) -> BTreeSet<Place> {
        self.entries()
            .get(order)
            .map(|entry| entry.met.clone())
            .unwrap_or_default()
    }

    /// True if every blow on this order has fallen.
    pub fn has_struck(&self, order: &str) -> bool {
        let entries = self.entries();
        entries
            .get(order)
            .is_some_and(|entry| entry.blows.iter().all(|(_, fell)| *fell))
    }

    /// What happens to a message where it is now.
    pub fn happens(&self, at: &At) -> Happening {
        let mut entries = self.entries();
        match order_of(at).and_then(|order| entries.get_mut(&order)) {
            Some(entry) => entry.happens(at),
            None => Happening::Nothing,
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(scenario: &'static Scenario, blows: Vec<(Blow, bool)>, drop_everything_once: bool) -> Self {
        Self {
            scenario,
            blows,
            dropped: BTreeSet::new(),
            drop_everything_once,
            met: BTreeSet::new(),
        }
    }

    fn happens(&mut self, at: &At) -> Happening {
        let place = Place::of(at);
        self.met.insert(place.clone());
        for (blow, fell) in &mut self.blows {
            if !*fell && blow.place == place {
                *fell = true;
                return blow.what;
            }
        }
        if self.is_to_come_again(&place) {
            return Happening::Crash;
        }
        (self.scenario.world)(at)
    }

    /// A blow on a redelivery needs one: the first delivery of that message is dropped when it is taken.
    fn is_to_come_again(&mut self, place: &Place) -> bool {
        let same = |blow: &Blow| {
            blow.place.is_again
                && (&blow.place.consumer, &blow.place.trigger) == (&place.consumer, &place.trigger)
        };
        let wanted = self.drop_everything_once || self.blows.iter().any(|(blow, _)| same(blow));
        let first = place.point == Point::Taken && !place.is_again;
        first
            && wanted
            && self
                .dropped
                .insert((place.consumer.clone(), place.trigger.clone()))
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.place, self.what)
    }
}
