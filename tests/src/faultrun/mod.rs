//! The fault run: a whole system of real processes on a cluster of three nats-servers, orders at a steady rate, and
//! somebody who breaks things all the while, by a plan that a seed repeats.
//!
//! Reading order: `kind` and `target` (what can go wrong), `schedule` (when it does: a pure function of the seed), `site` (the
//! cluster, the proxies and the processes), `driver` and `orders` (what is asked of the system, and what it answers),
//! `nemesis` and `strikes` (how each fault is done and healed), `follow` (what the journal says meanwhile), `verdict`
//! (what has to hold at the end), and `run`, which puts them together.

mod kind;
mod target;

mod schedule;

mod proxy;
mod slot;

mod fleet;
mod site;

mod asker;
mod driver;
mod history;
mod orders;

mod nemesis;
mod persist;
mod strikes;

mod entity;
mod follow;
mod latency;
mod ledger;
mod rest;
mod verdict;

mod args;
mod measure;
mod report;
mod run;

pub use args::Args;
pub use kind::Kind;
pub use report::Report;
pub use run::run;
pub use schedule::{Fault, Outline, schedule};
pub use target::Target;
