//! What the tests share: a whole system on a real nats-server, the crash matrix, the fault run, and the conformance checks
//! that hold the simulation's server to the real one.

pub mod conformance;
pub mod faultrun;
pub mod harness;
pub mod matrix;
