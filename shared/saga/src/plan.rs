use std::{collections::HashMap, fmt};

use crate::{Payload, Saga, State, Token, TokenError, evolve::STEP_STUCK};

/// A validated saga: every dependency is produced by somebody, nothing waits for itself, and a step that
/// cannot be taken back comes after all the others. Cheap to ask; built once.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The saga's name.
    pub saga: Token,
    /// The version of its definition.
    pub version: u32,
    /// Event type that starts it.
    pub start: Token,
    /// Event type of an elapsed deadline.
    pub timed_out: Token,
    /// Event type of a cancellation from outside.
    pub cancellation_requested: Token,
    /// Event type that ends a compensated saga.
    pub cancelled: Token,
    /// The field that names the saga in the payloads that the engine writes itself.
    pub id_field: String,
    steps: Vec<StepPlan>,
    kinds: HashMap<Token, Kind>,
}

/// One step of a plan.
#[derive(Clone, Debug)]
pub struct StepPlan {
    /// Its name.
    pub name: Token,
    /// What it waits for.
    pub after: Vec<Dependency>,
    /// The steps that wait for it, directly.
    pub dependents: Vec<StepIx>,
    /// Event type of its success.
    pub done: Token,
    /// Event type of its refusal.
    pub refused: Token,
    /// Event type of its undo; `None` makes it the pivot.
    pub undone: Option<Token>,
}

/// What a step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// The event that starts the saga.
    Start,
    /// The success of another step.
    Step(StepIx),
}

/// A step's place in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepIx(pub usize);

/// What an event type means to a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The saga began.
    Started,
    /// A step's effect happened.
    Done(StepIx),
    /// A step's effect did not happen and never will.
    Refused(StepIx),
    /// A step's effect was taken back.
    Undone(StepIx),
    /// The deadline elapsed.
    TimedOut,
    /// Somebody asked to stop.
    CancellationRequested,
    /// Everything is taken back.
    Cancelled,
    /// A step made no progress within its limits.
    Stuck,
}

/// What a plan is compiled from. Sagas defined by types get it from [`Plan::of`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanSpec {
    /// The saga's name.
    pub saga: String,
    /// The version of its definition.
    pub version: u32,
    /// Event type that starts it.
    pub start: String,
    /// Its steps.
    pub steps: Vec<StepSpec>,
    /// Event type of an elapsed deadline.
    pub timed_out: String,
    /// Event type of a cancellation from outside.
    pub cancellation_requested: String,
    /// Event type that ends a compensated saga.
    pub cancelled: String,
    /// The field that names the saga in the payloads that the engine writes itself.
    pub id_field: String,
}

/// What one step of a plan is compiled from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepSpec {
    /// Its name.
    pub name: String,
    /// Event types that it waits for.
    pub after: Vec<String>,
    /// Event type of its success.
    pub done: String,
    /// Event type of its refusal.
    pub refused: String,
    /// Event type of its undo, or the word that it has none.
    pub undone: Option<String>,
}

/// Why a definition is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A name or an event type is no subject token.
    #[error("saga {saga:?}: {error}")]
    Name {
        /// The saga at fault.
        saga: String,
        /// What is wrong with the name.
        error: TokenError,
    },
    /// It has no steps.
    #[error("saga {0:?} has no steps; it takes at least one")]
    Empty(String),
    /// Two steps share a name.
    #[error("saga {saga:?} has two steps named {step:?}; each needs a name of its own")]
    SameName {
        /// The saga at fault.
        saga: String,
        /// The name.
        step: String,
    },
    /// Two meanings share an event type.
    #[error("saga {saga:?} uses the event type {event:?} twice; each fact needs a type of its own")]
    SameEvent {
        /// The saga at fault.
        saga: String,
        /// The event type.
        event: String,
    },
    /// A step waits for something that nobody produces.
    #[error(
        "saga {saga:?}: step {step:?} waits for {event:?}, which is neither the start event nor the \
         success of a step; it takes one of {known}"
    )]
    Unproduced {
        /// The saga at fault.
        saga: String,
        /// The step that waits.
        step: String,
        /// What it waits for.
        event: String,
        /// What it may wait for.
        known: String,
    },
    /// A step waits for nothing, so nothing would ever open it.
    #[error("saga {saga:?}: step {step:?} waits for nothing; name the start event if it comes first")]
    Rootless {
        /// The saga at fault.
        saga: String,
        /// The step.
        step: String,
    },
    /// Steps wait for each other.
    #[error("saga {saga:?}: the steps {steps} wait for each other; one of them has to come first")]
    Cycle {
        /// The saga at fault.
        saga: String,
        /// The steps on the cycle or behind it.
        steps: String,
    },
    /// A step without an undo does not come last.
    #[error(
        "saga {saga:?}: step {pivot:?} cannot be undone, so every other step must come before it, but {other:?} \
         does not; make {pivot:?} wait for {other:?}, or give it an undo"
    )]
    Pivot {
        /// The saga at fault.
        saga: String,
        /// The step without an undo.
        pivot: String,
        /// A step that it does not wait for.
        other: String,
    },
}

impl Plan {
    /// Compiles the saga that `S` defines.
    ///
    /// # Errors
    /// Says which rule the definition breaks, where, and what would be right.
    pub fn of<S: Saga>() -> Result<Self, PlanError> {
        Self::compile(&PlanSpec::of::<S>())
    }

    /// Compiles a definition.
    ///
    /// # Errors
    /// Says which rule the definition breaks, where, and what would be right.
    pub fn compile(spec: &PlanSpec) -> Result<Self, PlanError> {
        if spec.steps.is_empty() {
            return Err(PlanError::Empty(spec.saga.clone()));
        }
        let token = |text: &str| {
            Token::new(text).map_err(|error| PlanError::Name {
                saga: spec.saga.clone(),
                error,
            })
        };
        let mut plan = Self {
            saga: token(&spec.saga)?,
            version: spec.version,
            start: token(&spec.start)?,
            timed_out: token(&spec.timed_out)?,
            cancellation_requested: token(&spec.cancellation_requested)?,
            cancelled: token(&spec.cancelled)?,
            id_field: spec.id_field.clone(),
            steps: Vec::new(),
            kinds: HashMap::new(),
        };
        for step in &spec.steps {
            let name = token(&step.name)?;
            if plan.steps.iter().any(|s| s.name == name) {
                return Err(PlanError::SameName {
                    saga: spec.saga.clone(),
                    step: step.name.clone(),
                });
            }
            plan.steps.push(StepPlan {
                name,
                after: Vec::new(),
                dependents: Vec::new(),
                done: token(&step.done)?,
                refused: token(&step.refused)?,
                undone: step.undone.as_deref().map(token).transpose()?,
            });
        }
        plan.name_the_events(spec)?;
        plan.connect(spec)?;
        plan.refuse_cycles(spec)?;
        plan.refuse_early_pivots(spec)?;
        Ok(plan)
    }

    /// What `event_type` means, if it means anything to this saga.
    pub fn kind(&self, event_type: &Token) -> Option<Kind> {
        self.kinds.get(event_type).copied()
    }

    /// The event types of this saga, in no order.
    pub fn event_types(&self) -> impl Iterator<Item = (&Token, Kind)> {
        self.kinds.iter().map(|(name, kind)| (name, *kind))
    }

    /// The steps, in the order of the definition.
    pub fn steps(&self) -> impl Iterator<Item = (StepIx, &StepPlan)> {
        self.steps.iter().enumerate().map(|(i, step)| (StepIx(i), step))
    }

    /// One step.
    ///
    /// # Panics
    /// When `ix` comes from another plan.
    pub fn step(&self, ix: StepIx) -> &StepPlan {
        &self.steps[ix.0]
    }

    /// The place of the step called `name`.
    pub fn find(&self, name: &str) -> Option<StepIx> {
        self.steps
            .iter()
            .position(|s| s.name.as_str() == name)
            .map(StepIx)
    }

    /// The step that cannot be undone, if there is one.
    pub fn pivot(&self) -> Option<StepIx> {
        self.steps.iter().position(|s| s.undone.is_none()).map(StepIx)
    }

    /// The event types that can make `step` act: what opens it, what turns the saga, and every refusal and
    /// undo of the steps that depend on it. The start opens only those that wait for nothing else. Sorted, without
    /// repetition.
    pub fn triggers(&self, step: StepIx) -> Vec<Token> {
        let me = self.step(step);
        let mut heard = vec![self.timed_out.clone(), self.cancellation_requested.clone()];
        let dones = me.after.iter().filter_map(|dependency| match dependency {
            Dependency::Start => None,
            Dependency::Step(other) => Some(self.step(*other).done.clone()),
        });
        heard.extend(dones);
        if me.after.iter().all(|dependency| *dependency == Dependency::Start) {
            heard.push(self.start.clone());
        }
        heard.extend(
            self.steps()
                .filter(|(ix, _)| *ix != step)
                .map(|(_, other)| other.refused.clone()),
        );
        heard.extend(
            me.dependents
                .iter()
                .filter_map(|ix| self.step(*ix).undone.clone()),
        );
        heard.sort_unstable();
        heard.dedup();
        heard
    }

    /// The event types that can make the saga's owner act: the start (it arms the deadline), every turn, and
    /// every refusal and undo. Sorted.
    pub fn owner_triggers(&self) -> Vec<Token> {
        let mut heard = vec![
            self.start.clone(),
            self.timed_out.clone(),
            self.cancellation_requested.clone(),
        ];
        heard.extend(self.steps.iter().map(|s| s.refused.clone()));
        heard.extend(self.steps.iter().filter_map(|s| s.undone.clone()));
        heard.sort_unstable();
        heard
    }

    /// The recorded payload of the fact `event_type` in `state`: the start, or the success of a step.
    pub fn payload<'a>(&self, state: &'a State, event_type: &str) -> Option<&'a Payload> {
        if self.start.as_str() == event_type {
            return Some(&state.start.payload);
        }
        let step = self.steps.iter().find(|s| s.done.as_str() == event_type)?;
        state.steps.get(&step.name)?.done.as_ref()?.payload.as_ref()
    }

    fn name_the_events(&mut self, spec: &PlanSpec) -> Result<(), PlanError> {
        let stuck = Token::new(STEP_STUCK).map_err(|error| PlanError::Name {
            saga: spec.saga.clone(),
            error,
        })?;
        let mut all = vec![
            (self.start.clone(), Kind::Started),
            (self.timed_out.clone(), Kind::TimedOut),
            (self.cancellation_requested.clone(), Kind::CancellationRequested),
            (self.cancelled.clone(), Kind::Cancelled),
            (stuck, Kind::Stuck),
        ];
        for (ix, step) in self.steps() {
            all.push((step.done.clone(), Kind::Done(ix)));
            all.push((step.refused.clone(), Kind::Refused(ix)));
            all.extend(step.undone.clone().map(|undone| (undone, Kind::Undone(ix))));
        }
        for (name, kind) in all {
            if self.kinds.insert(name.clone(), kind).is_some() {
                return Err(PlanError::SameEvent {
                    saga: spec.saga.clone(),
                    event: name.to_string(),
                });
            }
        }
        Ok(())
    }

    fn connect(&mut self, spec: &PlanSpec) -> Result<(), PlanError> {
        for (i, step) in spec.steps.iter().enumerate() {
            if step.after.is_empty() {
                return Err(PlanError::Rootless {
                    saga: spec.saga.clone(),
                    step: step.name.clone(),
                });
            }
            for event in &step.after {
                let dependency = match self.kinds.get(event.as_str()) {
                    Some(Kind::Started) => Dependency::Start,
                    Some(Kind::Done(other)) => Dependency::Step(*other),
                    _ => return Err(self.unproduced(spec, step, event)),
                };
                if self.steps[i].after.contains(&dependency) {
                    continue;
                }
                self.steps[i].after.push(dependency);
                if let Dependency::Step(other) = dependency {
                    self.steps[other.0].dependents.push(StepIx(i));
                }
            }
        }
        Ok(())
    }

    fn unproduced(&self, spec: &PlanSpec, step: &StepSpec, event: &str) -> PlanError {
        let mut known = vec![self.start.to_string()];
        known.extend(self.steps.iter().map(|s| s.done.to_string()));
        PlanError::Unproduced {
            saga: spec.saga.clone(),
            step: step.name.clone(),
            event: event.to_owned(),
            known: known.join(", "),
        }
    }

    /// All steps that `step` waits for, directly or not, in no order; itself only if it is on a cycle.
    fn ancestors(&self, step: StepIx) -> Vec<StepIx> {
        let mut found: Vec<StepIx> = Vec::new();
        let mut todo = vec![step];
        while let Some(next) = todo.pop() {
            for dependency in &self.step(next).after {
                if let Dependency::Step(other) = *dependency
                    && !found.contains(&other)
                {
                    found.push(other);
                    todo.push(other);
                }
            }
        }
        found
    }

    fn refuse_cycles(&self, spec: &PlanSpec) -> Result<(), PlanError> {
        let on_cycle: Vec<&str> = self
            .steps()
            .filter(|(ix, _)| self.ancestors(*ix).contains(ix))
            .map(|(_, step)| step.name.as_str())
            .collect();
        if on_cycle.is_empty() {
            return Ok(());
        }
        Err(PlanError::Cycle {
            saga: spec.saga.clone(),
            steps: on_cycle.join(", "),
        })
    }

    fn refuse_early_pivots(&self, spec: &PlanSpec) -> Result<(), PlanError> {
        for (ix, pivot) in self.steps().filter(|(_, step)| step.undone.is_none()) {
            let before = self.ancestors(ix);
            if let Some((_, other)) = self.steps().find(|(o, _)| *o != ix && !before.contains(o)) {
                return Err(PlanError::Pivot {
                    saga: spec.saga.clone(),
                    pivot: pivot.name.to_string(),
                    other: other.name.to_string(),
                });
            }
        }
        Ok(())
    }
}

impl fmt::Display for StepIx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
