//! The entities in the journal: chains of events, each with the state after it.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    ops::Deref,
    rc::Rc,
};

use checkout::stock::{Adjustment, Append, Key, Ledger, Product, Reservation, Seen};

/// A shared value that knows its hash.
#[derive(Clone, Debug)]
pub struct Node<T>(Rc<(u64, T)>);

impl<T: Hash> Node<T> {
    pub fn new(value: T) -> Self {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Self(Rc::new((hasher.finish(), value)))
    }
    pub fn hash(&self) -> u64 {
        self.0.0
    }
}

impl<T> Deref for Node<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.1
    }
}

/// One entity's chain: how many events, the state after the last, and the one before it for stale reads.
#[derive(Clone, Debug, Hash)]
pub struct Chain<E> {
    pub length: u64,
    pub last: Option<E>,
    pub previous: Option<E>,
}

impl<E: Ledger> Chain<E> {
    pub fn empty() -> Self {
        Self {
            length: 0,
            last: None,
            previous: None,
        }
    }
    pub fn seen(&self) -> Option<Seen<E>> {
        let sequence = self.length;
        self.last.clone().map(|state| Seen { state, sequence })
    }
    pub fn stale(&self) -> Option<Seen<E>> {
        let sequence = self.length.saturating_sub(1);
        self.previous.clone().map(|state| Seen { state, sequence })
    }
    pub fn extended(&self, state: E) -> Self {
        Self {
            length: self.length + 1,
            last: Some(state),
            previous: self.last.clone(),
        }
    }
}

#[derive(Clone, Debug, Hash)]
pub enum Entity {
    Product(Chain<Product>),
    Reservation(Chain<Reservation>),
    Adjustment(Chain<Adjustment>),
}

impl Entity {
    pub fn product(on_hand: u64) -> Self {
        let last = (on_hand > 0).then(|| Product {
            on_hand,
            ..Product::default()
        });
        Self::Product(Chain {
            length: on_hand.min(1),
            last,
            previous: None,
        })
    }
    pub fn reservation() -> Self {
        Self::Reservation(Chain::empty())
    }
    pub fn adjustment() -> Self {
        Self::Adjustment(Chain::empty())
    }
    pub fn length(&self) -> u64 {
        match self {
            Self::Product(c) => c.length,
            Self::Reservation(c) => c.length,
            Self::Adjustment(c) => c.length,
        }
    }
}

pub fn key(append: &Append) -> Key {
    match append {
        Append::Product(w) => Key::Product(w.id.clone()),
        Append::Reservation(w) => Key::Reservation(w.id.clone()),
        Append::Adjustment(w) => Key::Adjustment(w.id.clone()),
    }
}

pub fn guard(append: &Append) -> u64 {
    match append {
        Append::Product(w) => w.guard,
        Append::Reservation(w) => w.guard,
        Append::Adjustment(w) => w.guard,
    }
}

pub fn name(append: &Append) -> String {
    match append {
        Append::Product(w) => format!("{} {} {:?}", w.event_type(), w.id, w.payload),
        Append::Reservation(w) => format!("{} {}", w.event_type(), w.id),
        Append::Adjustment(w) => format!("{} {}", w.event_type(), w.id),
    }
}
