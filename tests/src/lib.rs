//! What the tests share: a whole system on a real nats-server, the crash matrix, the fault run, and the model of the
//! protocol.

pub mod faultrun;
pub mod harness;
pub mod matrix;
pub mod model;
