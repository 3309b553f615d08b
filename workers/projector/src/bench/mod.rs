//! What the read side can do, measured.

mod stories;

pub use stories::{Stories, Told};
