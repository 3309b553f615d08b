//! What the tests share: a whole system on a real nats-server, the crash matrix, the simulation of the product's own
//! workers on a server in memory, the fault run, and the model of the protocol.

pub mod conformance;
pub mod faultrun;
pub mod harness;
pub mod matrix;
pub mod model;
pub mod sim;
