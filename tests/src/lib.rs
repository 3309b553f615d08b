//! What the tests share: a whole system on a real nats-server, the model of the protocol, and the simulation
//! of the product's own code on a server in memory.

pub mod conformance;
pub mod harness;
pub mod model;
pub mod sim;
