use async_nats::{HeaderMap, HeaderValue, header, jetstream::AckKind};
use engine::broker::Arrival;
use saga::Timestamp;

use super::{
    HandOut, Server,
    filter::transformed,
    log::{Kept, Schedule},
};

/// What the server does by itself, and what its consumers do.
impl Server {
    /// Everything that is due by `now` happens, in the order of its time.
    pub fn advance(&mut self, now: Timestamp) {
        if self.now == Some(now) {
            return; // whatever is begun now takes at least a millisecond
        }
        self.now = Some(now);
        while let Some((time, place)) = self.next_of_logs().filter(|(time, _)| *time <= now) {
            if self.logs[place].next_commit() == Some(time) {
                self.commit(place, time);
            } else {
                self.fire(place, time);
            }
        }
        self.consumers
            .iter_mut()
            .for_each(|consumer| consumer.expire(now));
    }

    /// The next moment at which something changes by itself.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let consumers = self
            .consumers
            .iter()
            .filter_map(|consumer| consumer.next_change(now));
        let logs = self.next_of_logs().map(|(time, _)| time);
        consumers.chain(logs).min()
    }

    /// The next message that one of the consumers hands out which have somebody to work for them.
    pub fn hand_out(&mut self, now: Timestamp, staffed: impl Fn(usize) -> bool) -> Option<HandOut> {
        for (place, consumer) in self.consumers.iter_mut().enumerate() {
            if !staffed(place) {
                continue;
            }
            let Some((sequence, delivered)) = consumer.take(now) else {
                continue;
            };
            let log = self.logs.iter().find(|log| log.config.name == consumer.stream);
            let Some(kept) = log.and_then(|log| log.get(sequence)) else {
                continue;
            };
            let arrival = Arrival {
                stream: consumer.stream.to_owned(),
                sequence,
                delivered,
                stored_at: kept.time,
                subject: kept.subject.clone(),
                headers: kept.headers.clone(),
                body: kept.body.clone(),
            };
            return Some(HandOut {
                consumer: place,
                arrival,
            });
        }
        None
    }

    /// Takes a worker's answer for a message.
    pub fn answer(&mut self, consumer: usize, sequence: u64, kind: AckKind, now: Timestamp) {
        let Some(consumer) = self.consumers.get_mut(consumer) else {
            return;
        };
        if consumer.answer(sequence, kind, now) {
            let log = self
                .logs
                .iter_mut()
                .find(|log| log.config.name == consumer.stream);
            if let Some(log) = log.filter(|log| log.is_work_queue()) {
                log.remove(sequence);
            }
        }
    }

    /// The leader of a consumer dies before it told anybody what it handed out. True if there was anything.
    pub fn forget(&mut self, consumer: usize, now: Timestamp) -> bool {
        self.consumers
            .get_mut(consumer)
            .is_some_and(|consumer| consumer.forget(now))
    }

    /// Takes a message out of a stream. False if there is none.
    pub fn remove(&mut self, stream: &str, sequence: u64) -> bool {
        let log = self.logs.iter_mut().find(|log| log.config.name == stream);
        log.is_some_and(|log| log.remove(sequence))
    }

    pub(super) fn next_of_logs(&self) -> Option<(Timestamp, usize)> {
        let next = |(place, log): (usize, &super::Log)| Some((log.next_change()?, place));
        self.logs.iter().enumerate().filter_map(next).min()
    }

    /// A message can be seen: by its consumers, by what sources it, and by the clock if it is a schedule.
    fn commit(&mut self, place: usize, now: Timestamp) {
        let Some(sequence) = self.logs[place].commit() else {
            return;
        };
        let Some(kept) = self.logs[place].get(sequence).cloned() else {
            return;
        };
        let stream = self.logs[place].config.name.clone();
        for consumer in self.consumers.iter_mut().filter(|it| it.stream == stream) {
            if consumer.wants(&kept.subject) {
                consumer.offer(sequence, now);
            }
        }
        if self.logs[place].config.allow_message_schedules {
            self.schedule(place, sequence, &kept, now);
        }
        self.source(&stream, sequence, &kept, now);
    }

    /// Notes when a scheduled message fires: a little late, never early, and at once if the time is over.
    fn schedule(&mut self, place: usize, sequence: u64, kept: &Kept, now: Timestamp) {
        let text = |name| kept.headers.get(name).map(HeaderValue::as_str);
        let at = text(header::NATS_SCHEDULE).and_then(|at| at.strip_prefix("@at ")?.parse().ok());
        let (Some(at), Some(target)) = (at, text(header::NATS_SCHEDULE_TARGET)) else {
            return;
        };
        let due = now.max(at).after(self.dice.millis(20, 300));
        let schedule = Schedule {
            due,
            sequence,
            target: target.to_owned(),
        };
        self.logs[place].schedule(&kept.subject, schedule);
    }

    /// Publishes what was scheduled for `now`, and forgets the schedule.
    fn fire(&mut self, place: usize, now: Timestamp) {
        let Some((target, mut kept)) = self.logs[place].take_due() else {
            return;
        };
        kept.headers = without("Nats-Schedule", &kept.headers);
        (kept.subject, kept.time) = (target, now);
        let delay = self.dice.millis(1, 6);
        let _ = self.logs[place].append(kept, delay); // it has no guard that could forbid it
    }

    /// Copies a message into the streams that source this one.
    fn source(&mut self, stream: &str, sequence: u64, kept: &Kept, now: Timestamp) {
        for place in 0..self.logs.len() {
            let sources = self.logs[place].config.sources.as_deref().unwrap_or_default();
            let transforms = sources
                .iter()
                .filter(|source| source.name == stream)
                .flat_map(|source| &source.subject_transforms);
            let names = transforms.filter_map(|t| transformed(&t.source, &t.destination, &kept.subject));
            let names: Vec<String> = names.collect();
            for subject in names {
                let mut headers = without("Nats-Expected", &kept.headers);
                if let Ok(source) = format!("{stream} {sequence} >").parse::<HeaderValue>() {
                    headers.insert("Nats-Stream-Source", source);
                }
                let copy = Kept {
                    subject,
                    headers,
                    body: kept.body.clone(),
                    time: now,
                };
                let delay = self.dice.way();
                let _ = self.logs[place].append(copy, delay); // it has no guard that could forbid it
            }
        }
    }
}

/// The headers whose names do not begin so.
fn without(prefix: &str, headers: &HeaderMap) -> HeaderMap {
    let mut left = HeaderMap::new();
    for (name, values) in headers.iter() {
        if !AsRef::<str>::as_ref(name).starts_with(prefix) {
            values
                .iter()
                .for_each(|value| left.append(name.clone(), value.clone()));
        }
    }
    left
}
