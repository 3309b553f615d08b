//! The server as a value: the part of JetStream that the engine relies on, without a clock and without a network.
//! Whoever drives it says what time it is, and sends the answers.

mod consumer;
mod filter;
mod log;
mod moves;
mod reading;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use async_nats::{HeaderMap, jetstream::consumer::pull};
use bytes::Bytes;
use engine::{AppendError, Topology, broker::Arrival};
use saga::Timestamp;

use super::Dice;
use consumer::Consumer;
use log::{Kept, Log};

/// A JetStream server with its streams and consumers.
#[derive(Debug)]
pub struct Server {
    logs: Vec<Log>,
    consumers: Vec<Consumer>,
    dice: Dice,
    /// Events that the leader has committed and does not show before this moment.
    hidden: BTreeMap<u64, Timestamp>,
    /// When it was last advanced.
    now: Option<Timestamp>,
}

/// What a consumer hands out.
#[derive(Debug)]
pub struct HandOut {
    /// The place of its consumer.
    pub consumer: usize,
    /// The message.
    pub arrival: Arrival,
}

impl Server {
    /// A server with these streams and no consumers. How long its replicas take is told by `dice`.
    pub fn new(topology: &Topology, dice: Dice) -> Self {
        Self {
            logs: topology.streams.iter().cloned().map(Log::new).collect(),
            consumers: Vec::new(),
            dice,
            hidden: BTreeMap::new(),
            now: None,
        }
    }

    /// Makes a consumer, unless it is there. It hears what is in its stream already. Returns its place.
    pub fn employ(&mut self, stream: &'static str, config: &pull::Config, now: Timestamp) -> usize {
        let name = config.durable_name.as_deref().unwrap_or_default();
        let found = self
            .consumers
            .iter()
            .position(|c| c.stream == stream && c.name == name);
        if let Some(place) = found {
            return place;
        }
        let mut consumer = Consumer::new(stream, config);
        let log = self.logs.iter().find(|log| log.config.name == stream);
        for (sequence, kept) in log.into_iter().flat_map(Log::all) {
            if consumer.wants(&kept.subject) {
                consumer.offer(sequence, now);
            }
        }
        self.consumers.push(consumer);
        self.consumers.len() - 1
    }

    /// Takes a publish. Returns its sequence, and when it is committed: only then can anybody see it, and only then is
    /// it answered.
    ///
    /// # Errors
    /// As the server answers: a guard that does not hold, an append in flight, no stream for it.
    pub fn publish(
        &mut self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
        now: Timestamp,
    ) -> Result<(u64, Timestamp), AppendError> {
        let delay = self.dice.millis(1, 6);
        let found = self.logs.iter_mut().find(|log| {
            let mut subjects = log.config.subjects.iter();
            subjects.any(|filter| filter::matches(filter, &subject))
        });
        let log = found.ok_or_else(|| AppendError::Unknown("no stream takes it".to_owned()))?;
        log.append(
            Kept {
                subject,
                headers,
                body,
                time: now,
            },
            delay,
        )
    }

    /// The name of a consumer and its stream.
    pub fn consumer(&self, place: usize) -> (&str, &'static str) {
        self.consumers
            .get(place)
            .map_or(("", ""), |it| (it.name.as_str(), it.stream))
    }

    /// How many consumers there are.
    pub const fn consumers(&self) -> usize {
        self.consumers.len()
    }

    fn log(&self, stream: &str) -> Option<&Log> {
        self.logs.iter().find(|log| log.config.name == stream)
    }
}
