//! What the tests share: a whole system on a real nats-server, the fault run, and the model of the protocol.

pub mod faultrun;
pub mod harness;
pub mod model;
