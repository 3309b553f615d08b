//! Sagas as pure values: what an event is, what a plan allows, what a state means, what comes next.
//!
//! Nothing in this crate reads a clock, touches a network or spawns a task, so nothing in it can fail for a
//! reason outside its arguments. The engine runs these functions on JetStream; the model checker runs the
//! very same functions against every interleaving of crashes it can think of.
//!
//! Reading order: [`Token`] and [`Event`] (what is on the wire), [`Step`] and [`Saga`] (what a team writes),
//! [`Plan`] (what that compiles to), [`State`] with [`evolve`] (how facts fold), [`decide`] and
//! [`decide_owner`] (what to do about a fact), [`Retry`] (when to try again). Beside sagas stand [`Aggregate`]s, which
//! answer commands, with [`Personal`] data that can be erased.

mod aggregate;
mod decide;
mod definition;
mod diagram;
mod entity;
mod event;
mod evolve;
mod more;
mod personal;
mod plan;
mod retry;
#[cfg(feature = "schema")]
mod schema;
mod state;
mod timestamp;
mod token;
mod why_not;

pub use aggregate::{Aggregate, Decision, Facts, Shape};
pub use decide::{OwnerAction, OwnerTrigger, StepAction, decide, decide_owner};
pub use definition::{Fact, Inputs, Irreversible, Refusal, Saga, Step, Steps, Undo};
pub use diagram::mermaid;
pub use entity::{Entity, EntityError};
pub use event::{Event, EventId, Payload};
pub use evolve::{EvolveError, STEP_STUCK, StepStuck, evolve};
pub use more::More;
pub use personal::{Personal, True};
pub use plan::{Dependency, Kind, Plan, PlanError, PlanSpec, StepIx, StepPlan, StepSpec};
pub use retry::{Next, Retry};
pub use state::{Direction, Outcome, Start, State, Status, StepState, StepStatus, Stuck, Turn};
pub use timestamp::{Timestamp, TimestampError};
pub use token::{EffectKey, Token, TokenError};
pub use why_not::why_not;

/// What [`carries_more!`] expands to needs these.
#[doc(hidden)]
pub mod __private {
    pub use serde;

    pub use crate::more::Name;
}

/// Why JSON could not be read or written.
pub type JsonError = serde_json::Error;
