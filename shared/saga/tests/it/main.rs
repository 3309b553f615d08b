//! What the pure core guarantees: given these events, when this happens, then that follows.
//!
//! `cfg(test)` is always true here; it tells the linter that helpers are test code too, and may stop at the first
//! surprise.

#[cfg(test)]
mod decisions;
#[cfg(test)]
mod folds;
#[cfg(test)]
mod given;
#[cfg(test)]
mod graphs;
#[cfg(test)]
mod inputs;
#[cfg(test)]
mod newer;
#[cfg(test)]
mod owners;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod stuck;
#[cfg(test)]
mod transitions;
#[cfg(test)]
mod triggers;
