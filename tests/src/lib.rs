//! .

pub mod model;
