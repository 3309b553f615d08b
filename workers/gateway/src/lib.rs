//! HTTP for the checkout: orders are placed, taken back, looked at and followed, and operators see what is wrong.
//!
//! # What it promises
//! - What is answered 202 is kept. A request under an `Idempotency-Key` is dealt with once, whichever gateway it
//!   reaches and however often one of them dies.
//! - What is refused left nothing behind, and the refusal is a problem of RFC 9457 with a code that never changes.
//! - It keeps no state: any number of gateways serve, and any of them may die at any moment.
//! - No client can hold up another: bodies, headers, times, requests, streams and connections are bounded.
//!
//! # Reading order
//! `problem` (what goes wrong), `token` and `keys` (who asks), `body`, `path`, `moment` (what is asked), `asker`,
//! `requests` and `command` (how it becomes an event, once), then `orders`, `live`, `customers`, `products`,
//! `lists`, `letters` (what there is), and `guard`, `app`, `wire`, `serve`, `args` (the outside).

mod problem;

mod keys;
mod token;

mod body;
mod context;
mod moment;
mod path;

mod asker;
mod command;
mod requests;

mod customer_commands;
mod customer_views;
mod customers;
mod hub;
mod letters;
mod lists;
mod live;
mod orders;
mod products;
mod shapes;

mod app;
mod counters;
mod docs;
mod guard;
mod wire;

mod args;
mod rights;
mod serve;

pub use args::{Args, Config};
pub use rights::declared;
pub use serve::{serve, serving, worker};
pub use token::{NewToken, Role, new_token};
