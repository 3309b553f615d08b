//! What the tests share: a whole system on a real nats-server, the crash matrix, and the model of the protocol.

pub mod harness;
pub mod matrix;
pub mod model;
