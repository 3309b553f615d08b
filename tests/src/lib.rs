//! .

pub mod harness;
pub mod model;
