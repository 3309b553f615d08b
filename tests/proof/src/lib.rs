//! What is proven without a server: the model of the protocol on the product's own pure core, and the simulation of the
//! product's own workers on a server in memory.
//!
//! It is a package of its own because it is optimised, and the tests that wait for a real server need not be: each of those
//! builds in seconds.

pub mod model;
pub mod sim;
