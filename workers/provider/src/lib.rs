//! A payment provider to run against: a real HTTP server with the idempotency
//! semantics of the card processors, and failures on demand.
//!
//! # What it promises
//! - An idempotency key has at most one outcome, for ever: `succeeded`,
//!   `declined` or `forbidden`. The first commit to the ledger decides; a charge
//!   which is still on its way when its key is settled never charges.
//! - The same request under the same key gets the first answer again, byte for
//!   byte, also after a restart.
//! - A fact is in the ledger file (`write(2)` has returned) before anyone is told
//!   about it, so killing the process loses nothing that was answered. Surviving
//!   a power cut as well takes [`Config::fsync`].
//! - A client which goes away does not stop its charge: a request, once taken,
//!   runs to its commit.
//! - Money is an integer count of minor units everywhere.
//!
//! # Reading order
//! `key` and `order` (what comes in), `fact` and `book` (what is remembered and
//! decided, pure), `ledger` (the file), `desk` (the one lock around both), then
//! `failures` and `wish` (what goes wrong on purpose), and `api`, `wire`,
//! `server` and `args` (the outside).

mod key;
mod order;

mod fact;

mod answer;
mod book;

mod ledger;

mod desk;

mod failures;
mod wish;

mod refusal;

mod api;
mod wire;

mod server;

mod args;

pub use args::{Args, run, start_logs};
pub use failures::{Failures, MAX_DELAY_MS, WrongSetting};
pub use server::{Config, serve};
