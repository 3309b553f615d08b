//! Any saga, any interleaving: properties over random graphs.

mod drive;
mod specs;

use drive::Driver;
use proptest::{collection::vec, prelude::*};
use saga::{
    Event, EventId, OwnerAction, OwnerTrigger, Plan, State, Status, StepAction, StepStatus, decide,
    decide_owner, evolve,
};
use specs::{Flaw, spec};

use crate::given::{event, event_id, id, sequence};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_with_a_flaw_is_refused_for_that_flaw(spec in spec(), flaw: Flaw, dice: u64) {
        let mut broken = spec.clone();
        prop_assert!(Plan::compile(&spec).is_ok());
        if flaw.put_into(&mut broken, dice) {
            let error = Plan::compile(&broken).map(|_| ()).unwrap_err();
            prop_assert!(flaw.explains(&error), "{flaw:?} {error}");
        }
    }

    #[test]
    fn any_interleaving_ends_and_undoes_exactly_what_was_done(spec in spec(), dice in vec(any::<u16>(), 0..300)) {
        let plan = Plan::compile(&spec).unwrap();
        let mut driver = Driver::new(&plan, dice);
        driver.run();
        let state = driver.state();
        prop_assert!(state.is_final(), "{:?} {state:?}", driver.types());
        for (ix, step) in plan.steps() {
            let done = driver.place(&step.done);
            let undone = step.undone.as_ref().and_then(|u| driver.place(u));
            prop_assert_eq!(driver.stands(ix), done.is_some() && undone.is_none());
            match state.status {
                Status::Completed => prop_assert!(done.is_some() && undone.is_none()),
                _ => prop_assert_eq!(done.is_some(), undone.is_some(), "{}", step.name),
            }
            for dependent in step.dependents.iter().map(|d| plan.step(*d)) {
                let later = driver.place(&dependent.done);
                prop_assert!(later.is_none() || done < later, "{} after {}", dependent.name, step.name);
                let earlier = dependent.undone.as_ref().and_then(|u| driver.place(u));
                prop_assert!(earlier.is_none() || earlier < undone, "{} before {}", dependent.name, step.name);
            }
        }
    }

    #[test]
    fn folding_again_gives_the_same_bytes(spec in spec(), dice in vec(any::<u16>(), 0..300)) {
        let plan = Plan::compile(&spec).unwrap();
        let mut driver = Driver::new(&plan, dice);
        driver.run();
        let mut folded: Option<State> = None;
        for (event, n) in driver.history().iter().zip(1u64..) {
            let wire = serde_json::to_string(event).unwrap();
            let read: Event<State> = serde_json::from_str(&wire).unwrap();
            prop_assert_eq!(&read, event);
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), wire);
            let guard = if n == 1 { 0 } else { sequence(n - 1) };
            let next = evolve(&plan, folded.as_ref(), &read, &id(), guard).unwrap();
            prop_assert_eq!(serde_json::to_string(&next).unwrap(), serde_json::to_string(&read.state).unwrap());
            folded = Some(next);
        }
    }

    #[test]
    fn decide_answers_in_any_state(
        spec in spec(), saga in saga_status(), steps in vec(step_status(), 8), known in vec(any::<bool>(), 8),
    ) {
        let (plan, state) = arbitrary(&spec, saga, &steps, &known);
        let triggers: Vec<EventId> = plan.event_types().map(|(e, _)| event_id(e.as_str())).collect();
        for (ix, _) in plan.steps() {
            for trigger in &triggers {
                let status = state.status_of(&plan, ix);
                let legal = match decide(&plan, &state, ix, *trigger) {
                    StepAction::Nothing => true,
                    StepAction::Run => {
                        saga == Status::Running && status == StepStatus::Open && *trigger == event_id(&spec.start)
                    }
                    StepAction::Settle => saga == Status::Compensating && status == StepStatus::Open,
                    StepAction::Undo => saga == Status::Compensating && status == StepStatus::Done,
                };
                prop_assert!(legal, "{ix} {state:?}");
            }
        }
        for trigger in [OwnerTrigger::Event, OwnerTrigger::Deadline, OwnerTrigger::Cancellation] {
            if decide_owner(&plan, &state, trigger) == OwnerAction::Cancel {
                prop_assert!(!state.steps.values().any(|s| s.status.is_active()));
            }
        }
    }

    #[test]
    fn evolve_answers_in_any_state(
        spec in spec(), saga in saga_status(), steps in vec(step_status(), 8), known in vec(any::<bool>(), 8),
    ) {
        let (plan, state) = arbitrary(&spec, saga, &steps, &known);
        for (name, _) in plan.event_types() {
            if let Ok(next) = evolve(&plan, Some(&state), &event(name.as_str(), 2), &id(), 107) {
                prop_assert!(!state.is_final());
                prop_assert_eq!((next.events, next.first_sequence), (2, 107));
                let moved = plan.steps().filter(|(ix, _)| next.status_of(&plan, *ix) != state.status_of(&plan, *ix));
                let limit = if saga == Status::Running { 8 } else { 1 };
                prop_assert!(moved.count() <= limit);
            }
        }
    }
}

fn saga_status() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(Status::Running),
        Just(Status::Compensating),
        Just(Status::Completed),
        Just(Status::Cancelled)
    ]
}

fn step_status() -> impl Strategy<Value = StepStatus> {
    use StepStatus::{Done, Open, Refused, Undone, Waiting};
    prop_oneof![Just(Waiting), Just(Open), Just(Done), Just(Refused), Just(Undone)]
}

/// A state that need not be reachable, in which some steps may be unknown.
fn arbitrary(spec: &saga::PlanSpec, saga: Status, steps: &[StepStatus], known: &[bool]) -> (Plan, State) {
    let plan = Plan::compile(spec).unwrap();
    let mut state = evolve(&plan, None, &event(&spec.start, 1), &id(), 0).unwrap();
    state.status = saga;
    for (i, step) in spec.steps.iter().enumerate() {
        let entry = state.steps.get_mut(step.name.as_str()).unwrap();
        entry.status = steps[i];
        entry.opened_by = Some(event_id(&spec.start));
        if !known[i] {
            state.steps.remove(step.name.as_str());
        }
    }
    (plan, state)
}
