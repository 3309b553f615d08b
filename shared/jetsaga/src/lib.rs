//! Sagas with compensation, on NATS JetStream and nothing else. This is the one crate to depend on.
//!
//! A **saga** is a named graph of **steps**, started by one event. A step is one local transaction in one worker,
//! with an undo or the word that it has none. You say what each step needs and leaves, as types; you write what it
//! does, as three functions from values to values. Delivery, deduplication, retries, compensation, deadlines,
//! dead letters and draining are the engine's, and no acknowledgement, header or subject reaches your code.
//!
//! What you get for it, whoever dies at whatever moment:
//!
//! - every started saga ends, completed or cancelled;
//! - a step's outcome is recorded once, and its effect is only ever tried under one idempotency key;
//! - when a step refuses, everything that was done is undone, dependents first;
//! - the state of every saga is visible in the key-value bucket `STATE`, to any NATS client.
//!
//! # A saga of your own
//!
//! ```no_run
#![doc = include_str!("../examples/trip.rs")]
//! ```

mod macros;

pub use anyhow;
pub use clap;
pub use engine::{
    self, Aggregates, AppendError, BuildError, CommandError, Compensate, ConnectError, ConnectionArgs,
    Difference, Effect, EngineArgs, Entry, Expected, Feed, FeedError, Freshness, Handler, Heard, Hidden,
    Journal, JournalInfo, Letter, Letters, Metrics, Moment, Nats, Numbered, Outcome, Perform, ReadError,
    Recorded, Right, Service, Serving, Settled, Topology, Vault, VaultError, Worker, done, duration, launch,
    launch_from, now, on_signal, refuse, start_telemetry, subject,
};
pub use saga::{
    self, Aggregate, Decision, EffectKey, Entity, EntityError, Event, EventId, Fact, Facts, Inputs,
    Irreversible, Payload, Personal, Plan, PlanError, Refusal, Retry, Saga, Shape, State, Status, Step,
    StepStatus, Timestamp, Token, TokenError, mermaid, one_of,
};
pub use serde;
pub use serde_json;
