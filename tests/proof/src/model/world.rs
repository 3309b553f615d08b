use super::{STEPS, Wrong};

/// What really happened outside: one forward key and one undo key per step.
///
/// The search rests on two promises of an effect: under one key there is one outcome for ever, and settling a
/// key beats a request that is still under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct World {
    /// What became of each forward key.
    pub keys: [Key; STEPS],
    /// Which effects were taken back.
    pub undone: [bool; STEPS],
    /// Forward requests that nobody waits for any more and that may still arrive.
    pub under_way: [bool; STEPS],
}

/// What became of a forward key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Key {
    /// Nothing under it yet.
    #[default]
    Untouched,
    /// The effect happened.
    Happened,
    /// The business said no.
    Refused,
    /// Settled before anything happened: it never will.
    Forbidden,
}

impl World {
    /// True while the effect of `step` stands: it happened and was not taken back.
    pub fn stands(&self, step: usize) -> bool {
        self.keys[step] == Key::Happened && !self.undone[step]
    }

    /// A forward request of `step` is answered: by what is under the key, or else by either word of the business.
    /// `needs` are the steps whose effects it builds on.
    pub fn run(self, step: usize, needs: &[usize]) -> impl Iterator<Item = (Self, Key, Option<Wrong>)> {
        let answers: &[Key] = match self.keys[step] {
            Key::Untouched => &[Key::Happened, Key::Refused],
            Key::Happened => &[Key::Happened],
            Key::Refused | Key::Forbidden => &[Key::Refused],
        };
        let too_early = self.keys[step] == Key::Untouched && needs.iter().any(|n| !self.stands(*n));
        answers.iter().map(move |answer| {
            let wrong = (too_early && *answer == Key::Happened).then_some(Wrong::BuiltOnNothing(step as u8));
            (self.fixed(step, *answer), *answer, wrong)
        })
    }

    /// The key of `step` is final from here on, and this is what it says.
    pub fn settle(self, step: usize) -> (Self, Key) {
        match self.keys[step] {
            Key::Untouched => (self.fixed(step, Key::Forbidden), Key::Forbidden),
            final_word => (self, final_word),
        }
    }

    /// The effect of `step` is taken back. `dependents` are the steps that build on it.
    pub fn undo(mut self, step: usize, dependents: &[usize]) -> (Self, Option<Wrong>) {
        let wrong = if self.keys[step] != Key::Happened {
            Some(Wrong::UndidNothing(step as u8))
        } else if dependents.iter().any(|d| self.stands(*d)) {
            Some(Wrong::UndidTooEarly(step as u8))
        } else {
            None
        };
        self.undone[step] = true;
        (self, wrong)
    }

    /// A key that has its answer: whatever is still under way changes nothing more.
    fn fixed(mut self, step: usize, answer: Key) -> Self {
        if self.keys[step] == Key::Untouched {
            self.keys[step] = answer;
            self.under_way[step] = false;
        }
        self
    }
}
