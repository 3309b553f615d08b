use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_nats::jetstream::{AckKind, consumer::pull};
use saga::Timestamp;

use super::filter::matches;

/// One durable consumer: what it has still to hand out, and what it waits for.
#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) stream: &'static str,
    pub(super) name: String,
    /// Each with what a subject has to begin with.
    filters: Vec<(String, String)>,
    ack_wait: Duration,
    most: usize,
    /// What may be handed out, and from when on.
    ready: BTreeSet<(Timestamp, u64)>,
    /// What was handed out, and how long its answer is awaited.
    out: BTreeMap<u64, Timestamp>,
    /// How often each message was handed out that is not answered for good.
    delivered: BTreeMap<u64, u64>,
}

impl Consumer {
    pub(super) fn new(stream: &'static str, config: &pull::Config) -> Self {
        let mut filters = config.filter_subjects.clone();
        if filters.is_empty() {
            filters.push(config.filter_subject.clone());
        }
        let begins = |filter: &String| filter.split(['*', '>']).next().unwrap_or_default().to_owned();
        let filters = filters
            .into_iter()
            .map(|filter| (begins(&filter), filter))
            .collect();
        Self {
            stream,
            name: config.durable_name.clone().unwrap_or_default(),
            filters,
            ack_wait: config.ack_wait,
            most: usize::try_from(config.max_ack_pending).unwrap_or(usize::MAX),
            ready: BTreeSet::new(),
            out: BTreeMap::new(),
            delivered: BTreeMap::new(),
        }
    }

    /// True if it hands out what is published there.
    pub(super) fn wants(&self, subject: &str) -> bool {
        let fits =
            |(begin, filter): &(String, String)| subject.starts_with(begin) && matches(filter, subject);
        self.filters.iter().any(fits)
    }

    /// Takes a message to hand out.
    pub(super) fn offer(&mut self, sequence: u64, now: Timestamp) {
        self.ready.insert((now, sequence));
    }

    /// Hands out the next message, with how often it was; `None` if there is none, or too many are out.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<(u64, u64)> {
        let next = *self.ready.first().filter(|(from, _)| *from <= now)?;
        if self.out.len() >= self.most {
            return None;
        }
        self.ready.remove(&next);
        let sequence = next.1;
        self.out.insert(sequence, now.after(self.ack_wait));
        let delivered = self.delivered.entry(sequence).or_default();
        *delivered += 1;
        Some((sequence, *delivered))
    }

    /// Takes an answer, however late it is. True if the message is done with for good.
    pub(super) fn answer(&mut self, sequence: u64, kind: AckKind, now: Timestamp) -> bool {
        match kind {
            AckKind::Ack | AckKind::Term | AckKind::Next => {
                self.out.remove(&sequence);
                self.ready.retain(|(_, other)| *other != sequence);
                self.delivered.remove(&sequence).is_some()
            }
            AckKind::Nak(pause) => {
                if self.out.remove(&sequence).is_some() {
                    self.offer(sequence, now.after(pause.unwrap_or_default()));
                }
                false
            }
            AckKind::Progress => {
                if let Some(until) = self.out.get_mut(&sequence) {
                    *until = now.after(self.ack_wait);
                }
                false
            }
        }
    }

    /// Hands out again whatever was not answered in time.
    pub(super) fn expire(&mut self, now: Timestamp) {
        if self.out.values().all(|until| *until > now) {
            return;
        }
        let late: Vec<u64> = self
            .out
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(s, _)| *s)
            .collect();
        for sequence in late {
            self.out.remove(&sequence);
            self.offer(sequence, now);
        }
    }

    /// Forgets that it handed anything out, as after the death of a leader that had told nobody. True if there was
    /// something to forget.
    pub(super) fn forget(&mut self, now: Timestamp) -> bool {
        let out = std::mem::take(&mut self.out);
        for sequence in out.keys() {
            self.delivered.remove(sequence);
            self.offer(*sequence, now);
        }
        !out.is_empty()
    }

    /// The next moment later than `now` at which something changes by itself.
    pub(super) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let ready = self.ready.range((now, u64::MAX)..).next().map(|(from, _)| *from);
        self.out.values().copied().chain(ready).min()
    }

    /// Messages that wait to be handed out, and those that wait for an answer.
    pub(super) fn left(&self) -> (u64, u64) {
        (self.ready.len() as u64, self.out.len() as u64)
    }
}
