//! What workers tell of themselves: traces and metrics by OTLP, `/metrics`, and logs.

mod fleet;
mod headers;
mod logs;
mod metrics;
mod receiver;
mod traces;
mod trouble;
