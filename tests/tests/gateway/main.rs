//! The gateway as its clients meet it: a real HTTP client, a real nats-server, real workers.

mod bad;
mod customers;
mod doors;
mod front;
mod keys;
mod kills;
mod life;
mod lists;
mod past;
mod raw;
mod sse;
mod streams;
