use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use async_nats::{
    HeaderMap, HeaderName, header,
    jetstream::stream::{Config, RetentionPolicy},
};
use bytes::Bytes;
use engine::{AppendError, broker::Stored};
use saga::Timestamp;

use super::filter::{entity, matches};

/// The header that names the subjects a guard is about.
const GUARD_SUBJECT: HeaderName = HeaderName::from_static("Nats-Expected-Last-Subject-Sequence-Subject");

/// One stream. What is appended has its sequence at once, and can be seen once it is committed.
///
/// As on a replicated stream: an append names a guard subject, and is refused while another that names the same text
/// is on its way to the replicas. Two that name different texts do not see each other.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) config: Config,
    kept: Vec<Option<Kept>>,
    under_way: VecDeque<Proposal>,
    by_subject: HashMap<String, Vec<u64>>,
    by_entity: HashMap<String, Vec<u64>>,
    /// By the subject of the message that asks for it, so that a newer one takes the place of an older.
    schedules: BTreeMap<String, Schedule>,
    due: BTreeSet<(Timestamp, String)>,
}

/// A message that the stream keeps.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) time: Timestamp,
}

/// What is to be published later.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) due: Timestamp,
    pub(super) sequence: u64,
    pub(super) target: String,
}

#[derive(Debug)]
struct Proposal {
    commits_at: Timestamp,
    guard: Option<String>,
    message: Kept,
}

impl Log {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            kept: Vec::new(),
            under_way: VecDeque::new(),
            by_subject: HashMap::new(),
            by_entity: HashMap::new(),
            schedules: BTreeMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// Appends a message, unless its guard forbids that. It is committed `delay` later, and not before what was appended
    /// before it. Returns its sequence and when that is.
    pub(super) fn append(&mut self, message: Kept, delay: Duration) -> Result<(u64, Timestamp), AppendError> {
        let guard = self.guarded(&message)?;
        let earliest = message.time.after(delay);
        let before = self.under_way.back().map_or(earliest, |other| other.commits_at);
        let commits_at = earliest.max(before);
        self.under_way.push_back(Proposal {
            commits_at,
            guard,
            message,
        });
        Ok(((self.kept.len() + self.under_way.len()) as u64, commits_at))
    }

    /// The guard subject of a message whose guard holds; `None` if it has no guard.
    fn guarded(&self, message: &Kept) -> Result<Option<String>, AppendError> {
        let wanted = message.headers.get(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE);
        let Some(wanted) = wanted.and_then(|value| value.as_str().parse::<u64>().ok()) else {
            return Ok(None);
        };
        let subject = message.headers.get(GUARD_SUBJECT).map(|value| value.as_str());
        let subject = subject.unwrap_or(&message.subject);
        if self
            .under_way
            .iter()
            .any(|other| other.guard.as_deref() == Some(subject))
        {
            return Err(AppendError::InFlight);
        }
        let last = self
            .last(subject, |_, _| true)
            .map_or(0, |(sequence, _)| sequence);
        if last == wanted {
            Ok(Some(subject.to_owned()))
        } else {
            Err(AppendError::Stale { last })
        }
    }

    /// When something happens here by itself.
    pub(super) fn next_change(&self) -> Option<Timestamp> {
        let fires = self.due.first().map(|(due, _)| *due);
        self.next_commit().into_iter().chain(fires).min()
    }

    /// When the next append is committed.
    pub(super) fn next_commit(&self) -> Option<Timestamp> {
        self.under_way.front().map(|proposal| proposal.commits_at)
    }

    /// Notes that what `subject` holds is to be published later. An older wish of that subject is forgotten.
    pub(super) fn schedule(&mut self, subject: &str, schedule: Schedule) {
        if let Some(older) = self.schedules.remove(subject) {
            self.due.remove(&(older.due, subject.to_owned()));
            self.remove(older.sequence);
        }
        self.due.insert((schedule.due, subject.to_owned()));
        self.schedules.insert(subject.to_owned(), schedule);
    }

    /// Takes out what is to be published next, with where.
    pub(super) fn take_due(&mut self) -> Option<(String, Kept)> {
        let (_, subject) = self.due.pop_first()?;
        let schedule = self.schedules.remove(&subject)?;
        let kept = self.get(schedule.sequence).cloned()?;
        self.remove(schedule.sequence);
        Some((schedule.target, kept))
    }

    /// The subjects that hold what is to be published later.
    pub(super) fn scheduled(&self) -> impl Iterator<Item = &str> {
        self.schedules.keys().map(String::as_str)
    }

    /// Commits the append that is next. Returns its sequence.
    pub(super) fn commit(&mut self) -> Option<u64> {
        let proposal = self.under_way.pop_front()?;
        let mut message = proposal.message;
        message.time = proposal.commits_at;
        let sequence = self.kept.len() as u64 + 1;
        if let Some(name) = entity(&message.subject) {
            self.by_entity.entry(name).or_default().push(sequence);
        }
        self.by_subject
            .entry(message.subject.clone())
            .or_default()
            .push(sequence);
        self.kept.push(Some(message));
        Some(sequence)
    }

    pub(super) fn get(&self, sequence: u64) -> Option<&Kept> {
        let at = usize::try_from(sequence.checked_sub(1)?).ok()?;
        self.kept.get(at)?.as_ref()
    }

    /// The last message on `filter` of those that are there, as the reader sees it.
    pub(super) fn last(&self, filter: &str, is_there: impl Fn(u64, &Kept) -> bool) -> Option<(u64, &Kept)> {
        let there = |sequence: u64| {
            let kept = self.get(sequence)?;
            is_there(sequence, kept).then_some((sequence, kept))
        };
        let indexed = if !filter.contains('*') && !filter.ends_with('>') {
            self.by_subject.get(filter)
        } else if entity(filter).as_deref() == Some(filter) && filter.matches('*').count() == 1 {
            self.by_entity.get(filter)
        } else {
            return (1..=self.kept.len() as u64)
                .rev()
                .filter_map(there)
                .find(|(_, kept)| matches(filter, &kept.subject));
        };
        indexed?.iter().rev().copied().find_map(there)
    }

    /// The first message on `filter` from `from` on.
    pub(super) fn next(&self, filter: &str, from: u64) -> Option<(u64, &Kept)> {
        let all = (from.max(1)..=self.kept.len() as u64).filter_map(|s| Some((s, self.get(s)?)));
        all.into_iter().find(|(_, kept)| matches(filter, &kept.subject))
    }

    /// Every message that is kept, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, &Kept)> {
        let numbered = self.kept.iter().enumerate();
        numbered.filter_map(|(at, kept)| Some((at as u64 + 1, kept.as_ref()?)))
    }

    /// Takes a message out. False if there is none.
    pub(super) fn remove(&mut self, sequence: u64) -> bool {
        let at = sequence.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.kept.get_mut(at))
            .and_then(Option::take)
            .is_some()
    }

    /// True if a message goes once its consumer has acknowledged it.
    pub(super) fn is_work_queue(&self) -> bool {
        self.config.retention == RetentionPolicy::WorkQueue
    }
}

impl Kept {
    pub(super) fn stored(&self, sequence: u64) -> Stored {
        Stored {
            sequence,
            time: self.time,
            subject: self.subject.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
        }
    }
}
