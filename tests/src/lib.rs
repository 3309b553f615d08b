//! What the tests share: a whole system on a real nats-server, and the model of the protocol.

pub mod harness;
pub mod model;
