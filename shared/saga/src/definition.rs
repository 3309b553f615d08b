use serde::{Serialize, de::DeserializeOwned};

use crate::{PlanSpec, State, StepSpec, plan::Plan};

/// A typed fact: the payload of one event type.
pub trait Fact: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The event type on the wire, past tense: `PaymentProcessed`. One subject token.
    const TYPE: &'static str;
}

/// A business no: final, and nothing is left behind outside.
pub trait Refusal: Fact {
    /// The refusal that stands for "forbidden before it happened", which the engine records when it settled
    /// a step: because the saga turned (`reason` is `cancelled`) or because its retries were used up.
    fn forbidden(state: &State, reason: &str) -> Self;

    /// Why, in a few words for a person.
    fn reason(&self) -> String;
}

/// One local transaction of a saga, by what it needs and what it leaves.
///
/// All of it is types: a step without an undo does not compile unless it says [`Irreversible`].
///
/// ```compile_fail
/// # use saga::{Fact, Step};
/// # fn declare<A: saga::Inputs + Fact, D: Fact, R: saga::Refusal>() {}
/// struct Charge;
/// impl Step for Charge {
///     const NAME: &'static str = "charge";
///     type After = ();
///     type Done = ();
///     type Refused = ();
///     // no `Undone`: this step neither has an undo nor says that it is irreversible
/// }
/// ```
pub trait Step: Send + Sync + 'static {
    /// The step's name, unique in its saga. One subject token.
    const NAME: &'static str;
    /// What must have happened before: a fact, or a tuple of facts that joins them. It is also the input.
    type After: Inputs;
    /// The fact that it succeeded.
    type Done: Fact;
    /// The fact that it was refused.
    type Refused: Refusal;
    /// The fact that it was taken back, or [`Irreversible`].
    type Undone: Undo;
}

/// A named graph of steps, started by one event.
pub trait Saga: Send + Sync + 'static {
    /// The saga's name: the `kind` token of its subjects.
    const NAME: &'static str;
    /// The version of this definition; workers leave newer ones to newer workers.
    const VERSION: u32 = 1;
    /// The fact that starts it.
    type Start: Fact;
    /// Its steps, as a tuple of at most eight.
    type Steps: Steps;
    /// Event type of an elapsed deadline.
    const TIMED_OUT: &'static str;
    /// Event type of a cancellation from outside.
    const CANCELLATION_REQUESTED: &'static str;
    /// Event type that ends a compensated saga.
    const CANCELLED: &'static str;
    /// The field that names the saga in the payloads that the engine writes itself (deadline, cancellation,
    /// end): `{"<ID_FIELD>": …, "reason": …}`.
    const ID_FIELD: &'static str = "id";
}

/// What undoes a step: a [`Fact`], or [`Irreversible`].
pub trait Undo: Send + 'static {
    /// The event type, if there is an undo.
    const UNDONE: Option<&'static str>;
}

/// The word of a step that cannot be taken back. Such a step is the saga's pivot and comes last.
#[derive(Debug)]
pub enum Irreversible {}

/// The facts that a step reads: one, or a tuple of up to six that joins them.
pub trait Inputs: Sized + Send + 'static {
    /// Their event types.
    const TYPES: &'static [&'static str];

    /// Reads them out of `state`; `None` for a fact that has not happened.
    ///
    /// # Errors
    /// When a payload does not have the shape that its type says.
    fn read(plan: &Plan, state: &State) -> Result<Option<Self>, serde_json::Error>;
}

/// A tuple of [`Step`]s.
pub trait Steps {
    /// What the plan is compiled from, in the tuple's order.
    fn specs() -> Vec<StepSpec>;
}

impl<F: Fact> Undo for F {
    const UNDONE: Option<&'static str> = Some(F::TYPE);
}

impl Undo for Irreversible {
    const UNDONE: Option<&'static str> = None;
}

impl StepSpec {
    /// The specification of `S`.
    pub fn of<S: Step>() -> Self {
        Self {
            name: S::NAME.to_owned(),
            after: S::After::TYPES.iter().map(|t| (*t).to_owned()).collect(),
            done: S::Done::TYPE.to_owned(),
            refused: S::Refused::TYPE.to_owned(),
            undone: S::Undone::UNDONE.map(str::to_owned),
        }
    }
}

impl PlanSpec {
    /// The specification of `S`.
    pub fn of<S: Saga>() -> Self {
        Self {
            saga: S::NAME.to_owned(),
            version: S::VERSION,
            start: S::Start::TYPE.to_owned(),
            steps: S::Steps::specs(),
            timed_out: S::TIMED_OUT.to_owned(),
            cancellation_requested: S::CANCELLATION_REQUESTED.to_owned(),
            cancelled: S::CANCELLED.to_owned(),
            id_field: S::ID_FIELD.to_owned(),
        }
    }
}

impl<F: Fact> Inputs for F {
    const TYPES: &'static [&'static str] = &[F::TYPE];

    fn read(plan: &Plan, state: &State) -> Result<Option<Self>, serde_json::Error> {
        plan.payload(state, F::TYPE).map(crate::Payload::read).transpose()
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: Fact),+> Inputs for ($($name,)+) {
            const TYPES: &'static [&'static str] = &[$($name::TYPE),+];

            fn read(plan: &Plan, state: &State) -> Result<Option<Self>, serde_json::Error> {
                Ok(Some(($(match <$name as Inputs>::read(plan, state)? {
                    Some(fact) => fact,
                    None => return Ok(None),
                },)+)))
            }
        }
    };
}
tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);

macro_rules! steps {
    ($($name:ident)+) => {
        impl<$($name: Step),+> Steps for ($($name,)+) {
            fn specs() -> Vec<StepSpec> {
                vec![$(StepSpec::of::<$name>()),+]
            }
        }
    };
}
steps!(A);
steps!(A B);
steps!(A B C);
steps!(A B C D);
steps!(A B C D E);
steps!(A B C D E F);
steps!(A B C D E F G);
steps!(A B C D E F G H);
