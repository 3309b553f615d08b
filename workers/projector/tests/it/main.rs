//! The read side on a real nats-server, each test on SQLite and on a PostgreSQL of its own.

mod harness;

mod address;
mod algebra;
mod crashes;
mod follow;
mod lists;
mod rebuilds;
mod refusals;
