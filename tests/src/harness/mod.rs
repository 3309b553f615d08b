//! The one value that tests go through: [`System`], a real nats-server with the payment provider and any workers
//! of the checkout in this process, and a plain NATS client that knows nothing of Jetsaga.
//!
//! Every test has a system of its own, on free ports and in a directory that goes with it.

mod audit;
mod cluster;
mod crew;
mod guarded;
mod hold;
mod keda;
mod orders;
mod process;
mod provider;
mod reading;
mod system;
mod tool;
mod wait;

pub use audit::{audit, audit_orders, chained, ended_well, types};
pub use cluster::{Cluster, Shape};
pub use crew::{Role, Running};
pub use guarded::Guarded;
pub use hold::Hold;
pub use keda::Keda;
pub use orders::{cancellation, order, order_with};
pub use process::{Process, fleet, jetsaga, signal};
pub use provider::{Books, Provider};
pub use reading::{RawEvent, step};
pub use system::System;
pub use tool::{clean, fsck};
pub use wait::{PATIENCE, until};
