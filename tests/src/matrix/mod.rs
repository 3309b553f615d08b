//! The crash matrix: a worker dies at every named point on the way of every message, on a real nats-server.
//!
//! First every [`Scenario`] is run and every place that its messages come by is written down, deliveries and
//! redeliveries apart. Then each place is a case of its own: a fresh order of that scenario whose message is dropped
//! there, unanswered, as when the process dies; and, where something was asked, once more with its answer lost. Pairs
//! of places are drawn by chance. Whatever happened, every order ends once, and the books balance.
//!
//! Reading order: [`Place`] and [`Board`] (what happens to which message), [`Scenario`], [`Stage`] (the workers).

mod board;
mod place;
mod scenario;
mod stage;

pub use board::{Blow, Board};
pub use place::Place;
pub use scenario::{Message, Scenario};
pub use stage::{ACK_WAIT, IN_STOCK, SHELVES, Stage, skus};
