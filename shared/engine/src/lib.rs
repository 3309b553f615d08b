//! Runs sagas on NATS JetStream and nothing else.
//!
//! Reading order: [`broker`] (what is asked of the server), [`Journal`] (the guarded append), the ladder (`ladder.rs`: one
//! trigger of one step, from delivery to acknowledgement), the consumer loop that climbs it (`consumer.rs`), the saga's
//! owner (`owner.rs`), and [`Worker`], which puts them together. [`Topology`] is everything that lives on the server.

pub mod subject;

mod aggregate;
pub mod broker;
mod connect_error;
mod connection;
mod feed;
mod jetstream;
mod journal;
mod nats;
mod nowhere;
mod permissions;
mod secret_files;
mod topology;
mod users;
mod vault;
mod violation;

mod delivery;
mod letters;
mod nudge;
mod schedule;
mod seen;
mod setback;

mod aside;
mod bounded;
mod consumer;
mod handler;
mod in_hand;
mod ladder;
mod owner;
mod resolve;
mod service;
mod sparing;
mod step;

#[cfg(feature = "testing")]
pub mod faults;
#[cfg(not(feature = "testing"))]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "without the feature nothing of it happens"
)]
mod faults;
#[cfg(feature = "testing")]
mod station;

mod clock;
mod config;
mod crypto;
mod durability;
mod health;
mod hidden;
mod lag;
mod launch;
mod metrics;
mod restoring;
mod sagas;
mod telemetry;
mod trace;
mod worker;

pub use aggregate::{Aggregates, CommandError, Expected, Numbered};
pub use clock::now;
pub use config::{EngineArgs, LogFormat, duration, replicas};
pub use connect_error::ConnectError;
pub use connection::ConnectionArgs;
pub use crypto::use_ring;
pub use durability::{Durability, Survives};
pub use feed::{Entry, Feed, FeedError, JournalInfo};
pub use handler::{Handler, Heard};
pub use hidden::Hidden;
pub use journal::{AppendError, Freshness, Journal, Moment, ReadError, Recorded};
pub use launch::{launch, launch_from, on_signal};
pub use letters::{Letter, Letters, Reason};
pub use metrics::{ByConsumer, ByEvent, ByReason, ByStream, Metrics, Serving};
pub use nats::{Nats, OLDEST_SERVER, user_of};
pub use owner::{Accept, MAX_INBOUND, REPLY};
pub use permissions::{Permissions, Right};
pub use resolve::{ResolveError, Statement, resolve};
pub use restoring::Restoring;
pub use sagas::{Buckets, ByEffect, BySaga, BySagaEnd, ByStepEnd, ByVerb, SagaMetrics, Timed, TraceLabel};
pub use secret_files::FileError;
pub use service::Service;
#[cfg(feature = "testing")]
pub use station::Station;
pub use step::{Compensate, Effect, Outcome, Perform, Settled, done, refuse};
pub use telemetry::{
    Export, MetricsExporter, OtlpArgs, OtlpHeaders, Protocol, Telemetry, start as start_telemetry,
    unset_where_empty,
};
pub use topology::{
    ACK_WAIT, DEADLINE, Difference, MAX_EVENT, REQUESTS_FOR, SEEN_FOR, Topology, TopologyError,
    handler_consumers, is_unset, owner_consumers, step_consumers,
};
pub use trace::{Publishing, TraceContext, Traced, trace_context, traced};
pub use users::{User, configuration};
pub use vault::{Vault, VaultError};
pub use violation::Violation;
pub use worker::{BuildError, Worker};
