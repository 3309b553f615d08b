use proptest::{collection::vec, prelude::*};
use saga::{PlanError, PlanSpec, StepSpec};

use crate::given::pair;

/// Any saga of two to eight steps: each waits for some of those before it, or for the start. With a pivot, the
/// last one waits for all that nobody else waits for.
pub(super) fn spec() -> impl Strategy<Value = PlanSpec> {
    (vec(any::<u8>(), 2..=8), any::<bool>()).prop_map(|(edges, pivot)| {
        let mut spec = PlanSpec {
            steps: Vec::new(),
            ..pair()
        };
        for (i, bits) in edges.iter().enumerate() {
            let mut step = numbered(i);
            step.after = (0..i)
                .filter(|j| bits >> j & 1 == 1)
                .map(|j| numbered(j).done)
                .collect();
            if step.after.is_empty() || bits >> 7 == 1 {
                step.after.push(spec.start.clone());
            }
            spec.steps.push(step);
        }
        if pivot {
            let last = edges.len() - 1;
            spec.steps[last].undone = None;
            spec.steps[last].after = sinks(&spec.steps[..last]);
        }
        spec
    })
}

fn numbered(i: usize) -> StepSpec {
    StepSpec {
        name: format!("s{i}"),
        after: Vec::new(),
        done: format!("Done{i}"),
        refused: format!("Refused{i}"),
        undone: Some(format!("Undone{i}")),
    }
}

/// The successes that none of these steps waits for.
fn sinks(steps: &[StepSpec]) -> Vec<String> {
    let waited = |done: &String| steps.iter().any(|s| s.after.contains(done));
    steps
        .iter()
        .map(|s| s.done.clone())
        .filter(|d| !waited(d))
        .collect()
}

/// A way to break a rule of plans.
#[derive(Clone, Copy, Debug)]
pub(super) enum Flaw {
    Empty,
    Name,
    SameName,
    SameEvent,
    Unproduced,
    Rootless,
    Cycle,
    EarlyPivot,
}

impl Arbitrary for Flaw {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;
    fn arbitrary_with((): ()) -> Self::Strategy {
        use Flaw::{Cycle, EarlyPivot, Empty, Name, Rootless, SameEvent, SameName, Unproduced};
        proptest::sample::select(vec![
            Empty, Name, SameName, SameEvent, Unproduced, Rootless, Cycle, EarlyPivot,
        ])
        .boxed()
    }
}

impl Flaw {
    /// Breaks the rule somewhere; false where this plan has no place for it.
    pub(super) fn put_into(self, spec: &mut PlanSpec, dice: u64) -> bool {
        let (one, next) = (
            dice as usize % spec.steps.len(),
            (dice as usize + 1) % spec.steps.len(),
        );
        match self {
            Self::Empty => spec.steps.clear(),
            Self::Name => spec.steps[one].refused.push('*'),
            Self::SameName => spec.steps[one].name = spec.steps[next].name.clone(),
            Self::SameEvent => spec.steps[one].refused = spec.steps[next].refused.clone(),
            Self::Unproduced => {
                let refused = spec.steps[next].refused.clone();
                spec.steps[one].after.push(refused);
            }
            Self::Rootless => spec.steps[one].after.clear(),
            Self::Cycle => {
                let Some((earlier, later)) = edge(&spec.steps, one) else {
                    return false;
                };
                let done = spec.steps[later].done.clone();
                spec.steps[earlier].after.push(done);
            }
            Self::EarlyPivot => {
                spec.steps[0].undone = None;
            }
        }
        true
    }

    /// True if `error` is about this flaw.
    pub(super) fn explains(self, error: &PlanError) -> bool {
        matches!(
            (self, error),
            (Self::Empty, PlanError::Empty(_))
                | (Self::Name, PlanError::Name { .. })
                | (Self::SameName, PlanError::SameName { .. })
                | (Self::SameEvent, PlanError::SameEvent { .. })
                | (Self::Unproduced, PlanError::Unproduced { .. })
                | (Self::Rootless, PlanError::Rootless { .. })
                | (Self::Cycle, PlanError::Cycle { .. })
                | (Self::EarlyPivot, PlanError::Pivot { .. })
        )
    }
}

/// A step that waits for another: the other, and the one that waits.
fn edge(steps: &[StepSpec], from: usize) -> Option<(usize, usize)> {
    (0..steps.len())
        .map(|i| (from + i) % steps.len())
        .find_map(|later| {
            Some((
                steps.iter().position(|s| steps[later].after.contains(&s.done))?,
                later,
            ))
        })
}
