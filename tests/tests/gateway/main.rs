//! The gateway as its clients meet it: a real HTTP client, a real nats-server, real workers.

mod front;
mod life;
mod sse;
