use saga::{EventId, OwnerAction, OwnerTrigger, Plan, State, Status, StepAction, StepIx, StepStatus};

use super::{CONSUMERS, EVENTS, EventIx, EventSet, JournalIx, Journals, OWNER, STEPS, Seed, Timer};

/// What the decision functions answer, looked up instead of asked again: for every journal, consumer and trigger.
#[derive(Debug)]
pub struct Rules {
    steps: Vec<[[StepAction; EVENTS]; STEPS]>,
    owner: Vec<[OwnerAction; 3]>,
}

/// What the right rules make of every journal, for the checks and for the reduction.
#[derive(Debug)]
pub struct Debts {
    owed: Vec<[EventSet; CONSUMERS]>,
    over: Vec<[bool; CONSUMERS]>,
    turns: Vec<[bool; 2]>,
}

impl Rules {
    /// The product's own `decide` and `decide_owner`, or what `seed` makes of them.
    pub fn new(journals: &Journals, seed: Option<Seed>) -> Self {
        let plan = journals.plan();
        let ids: Vec<EventId> = journals.events().map(|e| journals.event_id(e)).collect();
        let step = |journal, step: usize| {
            let mut row = [StepAction::Nothing; EVENTS];
            for (action, id) in row.iter_mut().zip(&ids) {
                *action = decide(seed, plan, journals.state(journal), StepIx(step), *id);
            }
            row
        };
        let owner = |journal| {
            [
                OwnerTrigger::Event,
                OwnerTrigger::Deadline,
                OwnerTrigger::Cancellation,
            ]
            .map(|trigger| decide_owner(seed, plan, journals.state(journal), trigger))
        };
        Self {
            steps: journals
                .all()
                .map(|j| std::array::from_fn(|s| step(j, s)))
                .collect(),
            owner: journals.all().map(owner).collect(),
        }
    }

    /// What the worker of `step` does about `trigger`, having read `journal`.
    pub fn step(&self, journal: JournalIx, step: usize, trigger: EventIx) -> StepAction {
        self.steps[journal.index()][step][trigger.index()]
    }

    /// What the owner does about `trigger`, having read `journal`. The start only makes it arm the deadline: about
    /// that event it decides nothing.
    pub fn owner(&self, journal: JournalIx, trigger: EventIx) -> OwnerAction {
        if trigger == Journals::START {
            return OwnerAction::Nothing;
        }
        self.owner[journal.index()][0]
    }

    /// What the owner does about a timer, having read `journal`.
    pub fn timer(&self, journal: JournalIx, timer: Timer) -> OwnerAction {
        self.owner[journal.index()][1 + timer.index()]
    }

    fn turns(&self, journal: JournalIx, timer: Timer) -> bool {
        matches!(
            self.timer(journal, timer),
            OwnerAction::TimeOut | OwnerAction::RequestCancellation
        )
    }
}

impl Debts {
    /// What `right` owes after every journal.
    pub fn new(journals: &Journals, right: &Rules) -> Self {
        let owed = |j: JournalIx| {
            let mut owed = [EventSet::default(); CONSUMERS];
            for event in journals.holds(j).iter() {
                for (step, set) in owed.iter_mut().enumerate().take(STEPS) {
                    if right.step(j, step, event) != StepAction::Nothing {
                        *set = set.with(event);
                    }
                }
                if right.owner(j, event) != OwnerAction::Nothing {
                    owed[OWNER] = owed[OWNER].with(event);
                }
            }
            owed
        };
        let turns = |j| Timer::ALL.map(|t| right.turns(j, t));
        let mut all = Self {
            owed: journals.all().map(owed).collect(),
            over: vec![[false; CONSUMERS]; journals.all().count()],
            turns: journals.all().map(turns).collect(),
        };
        for j in journals.all().rev() {
            let later: Vec<_> = journals.events().filter_map(|e| journals.append(j, e)).collect();
            for who in 0..CONSUMERS {
                let over_later = later.iter().all(|l| all.over[l.index()][who]);
                all.over[j.index()][who] = all.owed[j.index()][who].is_empty() && over_later;
            }
        }
        all
    }

    /// The events of `journal` that consumer `who` still has to act on.
    pub fn owed(&self, journal: JournalIx, who: usize) -> EventSet {
        self.owed[journal.index()][who]
    }

    /// True if `timer` can still turn the saga.
    pub fn turns(&self, journal: JournalIx, timer: Timer) -> bool {
        self.turns[journal.index()][timer.index()]
    }

    /// True if consumer `who` has nothing to do about any event of `journal`, and never will, whatever is
    /// appended.
    pub fn over(&self, journal: JournalIx, who: usize) -> bool {
        self.over[journal.index()][who]
    }
}

/// `saga::decide`, wrapped where a seeded bug lives in it.
fn decide(seed: Option<Seed>, plan: &Plan, state: &State, step: StepIx, trigger: EventId) -> StepAction {
    let status = state.status_of(plan, step);
    match (seed, state.status, status) {
        (Some(Seed::OpenStepsLeft), Status::Compensating, StepStatus::Open) => StepAction::Nothing,
        (Some(Seed::UndoBeforeDependents), Status::Compensating, StepStatus::Done)
            if plan.step(step).undone.is_some() =>
        {
            StepAction::Undo
        }
        (Some(Seed::JoinFiresEarly), Status::Running, StepStatus::Waiting)
            if state
                .steps
                .values()
                .any(|s| s.done.as_ref().is_some_and(|d| d.event_id == trigger)) =>
        {
            StepAction::Run
        }
        _ => saga::decide(plan, state, step, trigger),
    }
}

/// `saga::decide_owner`, wrapped where a seeded bug lives in it.
fn decide_owner(seed: Option<Seed>, plan: &Plan, state: &State, trigger: OwnerTrigger) -> OwnerAction {
    let done = || state.steps.values().any(|s| s.status == StepStatus::Done);
    match (seed, state.status, trigger) {
        (Some(Seed::CancelledTooEarly), Status::Compensating, _) if !done() => OwnerAction::Cancel,
        (Some(Seed::DeadlineAfterPivot), Status::Running, OwnerTrigger::Deadline) => OwnerAction::TimeOut,
        _ => saga::decide_owner(plan, state, trigger),
    }
}
