//! A simulation of the whole system: the product's own workers on a server in memory, in a time that stands still while
//! they work, with a seed for everything that chance decides. The same seed gives the same run, byte for byte.
//!
//! Reading order: [`Server`] (the broker as a value), [`Memory`] and [`Port`] (its asynchronous front), the faults
//! ([`Fault`], [`Mishaps`]), the workers (`crew.rs`), the payment provider (`bank.rs`), the world outside (`world.rs`),
//! and [`run`], which plays one seed and checks the books.

mod dice;
mod fault;
mod mishaps;
mod story;
mod tally;

mod memory;
mod port;
pub mod server;

mod bank;
mod crew;
mod frost;
mod hiring;
mod notices;
mod payment;

mod order;
mod world;

mod campaign;
mod run;
mod strikes;
mod verdict;

pub use campaign::{Campaign, Failed, Outcome, campaign, quiet};
pub use crew::Crew;
pub use dice::Dice;
pub use fault::Fault;
pub use memory::{Answerer, Memory};
pub use mishaps::Mishaps;
pub use notices::Notices;
pub use payment::Provider;
pub use port::Port;
pub use run::{Ran, Setup, run};
pub use server::Server;
pub use story::Story;
pub use tally::Tally;
pub use world::World;
