use std::fmt;

use super::Invariant;

/// A violation without its story.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) invariant: Invariant,
    pub(super) entity: String,
    pub(super) sentence: String,
}

/// Where the violations of one entity go.
pub(super) struct Finds<'a> {
    pub(super) entity: &'a dyn fmt::Display,
    pub(super) out: &'a mut Vec<Found>,
}

impl Finds<'_> {
    pub(super) fn add(&mut self, invariant: Invariant, sentence: impl Into<String>) {
        self.out.push(Found {
            invariant,
            entity: self.entity.to_string(),
            sentence: sentence.into(),
        });
    }
}
