//! Read models: tables that follow the journal, in SQLite or PostgreSQL.
//!
//! A team writes a [`Projection`]: which tables it keeps and what each event changes in them, a pure function. The rest
//! is here. Reading order: [`Table`] and [`Rows`] (what a projection says), [`Picture`] (what that means), [`Database`],
//! [`Store`] (rows and positions in one transaction), [`Runner`] (one feed of the journal for all projections),
//! [`rebuild()`] (new tables beside those that are read, then a swap).
//!
//! What holds, whoever dies at whatever moment:
//!
//! - each event is applied once: the position moves in the transaction that writes the rows, and only if it still is
//!   what the rows rest on, so any number of runners may follow the same journal into the same database;
//! - whoever reads sees the tables between two transactions, and never a half-built one;
//! - an event that cannot be read stops nobody and does not disappear: it is recorded in `projection_problems`, with its
//!   sequence and the reason, in the transaction that passes it.

mod projection;
mod rows;
mod table;
mod value;

mod picture;

mod apply;
mod batch;
mod cells;
mod control;
mod database;
mod error;
mod look;
mod sql;
mod store;

mod metrics;
mod rebuild;
mod runner;
mod status;

pub use database::{Database, Record};
pub use engine::{Heard, Nats};
pub use error::DatabaseError;
pub use look::Problem;
pub use picture::Picture;
pub use projection::Projection;
pub use rebuild::{Progress, rebuild};
pub use rows::{Row, Rows};
pub use runner::Runner;
pub use status::Status;
pub use store::{Position, Store};
pub use table::{DeclarationError, Table, Type};
pub use value::{Value, micros, moment};
