//! The provider over real HTTP: every test starts one on a free port, with a
//! ledger of its own.

mod harness;

mod charges;
mod failures;
mod in_flight;
mod process;
mod refunds;
mod requests;
mod restart;
mod settle;
