//! The command-line tool `jetsaga`: runs the whole checkout on a laptop, and shows and steers a running system.
//!
//! Reading order: `cli` (every command with its flags), `dev` (the whole system in one process), `place` and
//! `show` (an order in, its saga as a tree), then the rest in any order.

mod cli;
mod output;

mod server;
mod system;

pub mod ports;
pub mod record;

mod demo;
mod dev;

mod backup;
mod bench;
mod contract;
mod fsck;
mod letters;
mod nack;
mod operate;
mod past;
mod place;
mod probe;
mod projection;
mod seed;
mod show;
mod stock;
mod token;
mod topology;
mod users;
mod watch;
mod work;

pub use cli::main;
pub use contract::documents as contract_documents;
pub use nack::{documents as nack_documents, resources as nack_resources};
pub use server::NatsServer;
pub use system::{
    SystemArgs, topology as system_topology, workers as system_workers, written as written_topology,
};
pub use users::{FILE_OF_KEYS, configuration as users_configuration, make_keys, users as system_users};
