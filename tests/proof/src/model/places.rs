use super::EVENTS;

/// One journal, by its place in [`super::Journals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JournalIx(pub(super) u16);

/// One event type, by its place in [`super::Journals`]. No journal holds a type twice, so it names the event too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventIx(pub(super) u8);

/// A set of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventSet(u16);

impl EventSet {
    /// True if `event` is in the set.
    pub const fn has(self, event: EventIx) -> bool {
        self.0 >> event.0 & 1 == 1
    }

    /// The set and `event`.
    #[must_use]
    pub const fn with(self, event: EventIx) -> Self {
        Self(self.0 | 1 << event.0)
    }

    /// The set without `event`.
    #[must_use]
    pub const fn without(self, event: EventIx) -> Self {
        Self(self.0 & !(1 << event.0))
    }

    /// What is in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// True if nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in it, in order.
    pub fn iter(self) -> impl Iterator<Item = EventIx> {
        (0..EVENTS as u8).map(EventIx).filter(move |e| self.has(*e))
    }
}

impl EventIx {
    /// Its place.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl JournalIx {
    /// Its place.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
