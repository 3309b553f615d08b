use std::time::Duration;

use async_nats::{HeaderValue, header};
use checkout::books::{Kept as Key, Leftover, Message, Scheduled};
use engine::{
    broker::Stored,
    subject::{EVENTS, KV_STATE, RETRY, TIMERS},
};
use saga::Timestamp;

use super::{Kept, Server};

/// What a reader is told.
impl Server {
    /// The last message on `filter` as a replica has it that is `behind` the leader by so much.
    pub fn last(&self, stream: &str, filter: &str, now: Timestamp, behind: Duration) -> Option<Stored> {
        let as_of = (!behind.is_zero()).then(|| earlier(now, behind));
        let is_there = |_, kept: &Kept| as_of.is_none_or(|time| kept.time <= time);
        let (sequence, kept) = self.log(stream)?.last(filter, is_there)?;
        Some(kept.stored(sequence))
    }

    /// The last message on `filter` that the leader shows: every one that it has acknowledged, and not always those that
    /// it has only committed.
    pub fn shown(&self, stream: &str, filter: &str, now: Timestamp) -> Option<Stored> {
        let is_hidden = |sequence| self.hidden.get(&sequence).is_some_and(|until| now < *until);
        let is_shown = |sequence, _: &Kept| stream != EVENTS || !is_hidden(sequence);
        let (sequence, kept) = self.log(stream)?.last(filter, is_shown)?;
        Some(kept.stored(sequence))
    }

    /// From now on the leader does not show this event before `until`.
    pub fn hide(&mut self, sequence: u64, until: Timestamp) {
        self.hidden.insert(sequence, until);
    }

    /// The message with this sequence.
    pub fn at(&self, stream: &str, sequence: u64) -> Option<Stored> {
        let kept = self.log(stream)?.get(sequence)?;
        Some(kept.stored(sequence))
    }

    /// The first message on `filter` from `from` on.
    pub fn next(&self, stream: &str, filter: &str, from: u64) -> Option<Stored> {
        let (sequence, kept) = self.log(stream)?.next(filter, from)?;
        Some(kept.stored(sequence))
    }

    /// Every event of the journal.
    pub fn journal(&self) -> impl Iterator<Item = Message> {
        let all = self.log(EVENTS).into_iter().flat_map(|log| log.all());
        all.map(|(sequence, kept)| {
            let guard = kept.headers.get(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE);
            let guard = guard.and_then(|value| value.as_str().parse().ok());
            match serde_json::from_slice(&kept.body) {
                Ok(body) => Message {
                    sequence,
                    subject: kept.subject.clone(),
                    guard,
                    time: kept.time,
                    body,
                },
                Err(_) => Message::new(sequence, &kept.subject, guard, kept.time, &kept.body),
            }
        })
    }

    /// What the bucket keeps under each key.
    pub fn bucket(&self) -> Vec<Key> {
        let mut keys = std::collections::BTreeMap::new();
        for (_, kept) in self.log(KV_STATE).into_iter().flat_map(|log| log.all()) {
            let key = kept.subject.trim_start_matches("$KV.STATE.");
            let source = kept.headers.get("Nats-Stream-Source").map(HeaderValue::as_str);
            let sequence = source.and_then(|source| source.split(' ').nth(1)?.parse().ok());
            keys.insert(key, (sequence.unwrap_or(0), &kept.body));
        }
        let kept = |(key, (sequence, body)): (&str, (u64, &bytes::Bytes))| match serde_json::from_slice(body)
        {
            Ok(body) => Key {
                key: key.to_owned(),
                sequence,
                body,
            },
            Err(_) => Key::new(key, sequence, body),
        };
        keys.into_iter().map(kept).collect()
    }

    /// The consumers of `stream` that hear what is published on `subject`.
    pub fn hearers(&self, stream: &str, subject: &str) -> Vec<String> {
        let hearing = self
            .consumers
            .iter()
            .filter(|it| it.stream == stream && it.wants(subject));
        hearing.map(|consumer| consumer.name.clone()).collect()
    }

    /// What every consumer has left to do.
    pub fn leftovers(&self) -> Vec<Leftover> {
        let left = |consumer: &super::Consumer| {
            let (pending, ack_pending) = consumer.left();
            Leftover {
                stream: consumer.stream.to_owned(),
                consumer: consumer.name.clone(),
                pending,
                ack_pending,
            }
        };
        self.consumers.iter().map(left).collect()
    }

    /// What is scheduled to be published.
    pub fn scheduled(&self) -> impl Iterator<Item = Scheduled> {
        [TIMERS, RETRY].into_iter().flat_map(|stream| {
            let schedules = self.log(stream).into_iter().flat_map(|log| log.scheduled());
            schedules.map(|subject| Scheduled {
                stream: stream.to_owned(),
                subject: subject.to_owned(),
            })
        })
    }

    /// True if nothing is left to be handed out, answered, committed or fired.
    pub fn is_idle(&self) -> bool {
        let served = self.consumers.iter().all(|consumer| consumer.left() == (0, 0));
        served && self.next_of_logs().is_none()
    }
}

/// `behind` before `now`; the beginning of time if there is no such moment.
fn earlier(now: Timestamp, behind: Duration) -> Timestamp {
    let since = now.since(Timestamp::EPOCH).saturating_sub(behind);
    Timestamp::EPOCH.after(since)
}
