//! Every stream and consumer as one value: what should be on the server, what is missing, what differs.

use std::{fmt, time::Duration};

use async_nats::jetstream::{
    consumer::{AckPolicy, pull},
    stream::{self, DiscardPolicy, RetentionPolicy, Source, StorageType, SubjectTransform},
};
use bytes::Bytes;
use saga::{Plan, StepIx, Token};
use serde_json::{Map, Value};

use crate::{
    Nats, Restoring,
    subject::{
        self, EVENTS, INBOX, KV_KEYS, KV_STATE, LETTERS, OUTBOUND, OWNER, REQUESTS, RESTORE, RETRY, SEEN,
        TIMERS,
    },
};

/// How long the server waits for an acknowledgement or a sign of life before it delivers again.
pub const ACK_WAIT: Duration = Duration::from_secs(10);
/// The largest message of the journal, in bytes: payload and state together.
pub const MAX_EVENT: usize = 256 * 1024;
/// How long a mark of a handled event id is kept. A duplicate that is older is handled again.
pub const SEEN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a request's idempotency key is remembered. A request under it that comes later is a new one.
pub const REQUESTS_FOR: Duration = Duration::from_secs(48 * 3600);
/// How many messages outsiders may be behind. The limit is a number and no age: the last message says where the relay
/// stands, and has to stay.
const OUTBOUND_KEPT: i64 = 10_000_000;
/// How many inbound messages may wait for their acknowledgement: enough that a burst of poison, set aside until it is
/// buried, does not keep the rest out.
const INBOX_PENDING: i64 = 32_768;
/// The timer that ends a saga that takes too long.
pub const DEADLINE: &str = "deadline";

/// What should be on the server.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The streams, in an order in which they can be created.
    pub streams: Vec<stream::Config>,
    /// The consumers, each with its stream.
    pub consumers: Vec<(&'static str, pull::Config)>,
}

/// What differs between a [`Topology`] and a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `stream EVENTS` or `consumer checkout-payment on EVENTS`.
    pub what: String,
    /// The setting; `None` if all of it is missing.
    pub setting: Option<String>,
    /// What it should be.
    pub wanted: String,
    /// What it is.
    pub found: String,
}

/// Why the topology could not be read or made.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct TopologyError {
    what: String,
    why: String,
}

impl Topology {
    /// The streams that every system has, with this many replicas: 1 (process-crash safe) or 3 (node-loss safe).
    pub fn new(replicas: usize) -> Self {
        let streams = vec![
            stream::Config {
                max_message_size: bytes(MAX_EVENT),
                ..sealed(EVENTS, &["evt.*.*.*"])
            },
            stream::Config {
                max_messages_per_subject: 1,
                sources: Some(vec![Source {
                    name: EVENTS.to_owned(),
                    subject_transforms: vec![SubjectTransform {
                        source: "evt.*.*.*".to_owned(),
                        destination: "$KV.STATE.{{wildcard(1)}}.{{wildcard(3)}}".to_owned(),
                    }],
                    ..Source::default()
                }]),
                ..sealed(KV_STATE, &[])
            },
            stream::Config {
                max_messages_per_subject: 1,
                ..open(KV_KEYS, &["$KV.KEYS.*.*"])
            },
            stream::Config {
                ..scheduling(TIMERS, &["timer.*.*.*", "due.*.*.*"])
            },
            stream::Config {
                ..scheduling(RETRY, &["retry.*.*.*.*", "due.*.*.*.*"])
            },
            stream::Config {
                retention: RetentionPolicy::WorkQueue,
                max_message_size: bytes(MAX_EVENT),
                ..open(INBOX, &["in.*.*"])
            },
            stream::Config {
                max_age: SEEN_FOR,
                ..open(SEEN, &["seen.*.*"])
            },
            stream::Config {
                ..open(LETTERS, &["dlq.>"])
            },
            stream::Config {
                max_age: REQUESTS_FOR,
                ..open(REQUESTS, &["req.*"])
            },
            stream::Config {
                max_messages: OUTBOUND_KEPT,
                discard: DiscardPolicy::Old,
                ..sealed(OUTBOUND, &["out.*.*.*"])
            },
        ];
        let streams = streams
            .into_iter()
            .map(|stream| stream::Config {
                num_replicas: replicas,
                ..stream
            })
            .collect();
        Self {
            streams,
            consumers: Vec::new(),
        }
    }

    /// Adds the consumers of every step of a saga, and of its owner.
    #[must_use]
    pub fn with_saga(mut self, plan: &Plan) -> Self {
        for (ix, _) in plan.steps() {
            self.consumers.extend(step_consumers(plan, ix));
        }
        self.consumers.extend(owner_consumers(plan));
        self
    }

    /// Adds the consumer of a plain handler of events of `kind`.
    #[must_use]
    pub fn with_handler(mut self, name: &str, kind: &Token, event_types: &[Token]) -> Self {
        self.consumers.extend(handler_consumers(name, kind, event_types));
        self
    }

    /// Creates what is missing and returns its names with what differs. What is there is left as it is: a
    /// consumer is never created anew, for that would deliver everything again. Doing it twice changes nothing.
    ///
    /// # Errors
    /// When the server refuses, naming the stream or consumer; when something is missing while a restore is not complete.
    pub async fn ensure(&self, nats: &Nats) -> Result<(Vec<String>, Vec<Difference>), TopologyError> {
        let differences = self.diff(nats).await?;
        let missing = |what: &str| differences.iter().any(|d| d.what == what && d.setting.is_none());
        let mut created = Vec::new();
        if differences.iter().any(|difference| difference.setting.is_none()) {
            none_is_restored(nats).await?;
        }
        for stream in &self.streams {
            let what = stream_name(stream);
            if missing(&what) {
                let done = nats.jetstream.create_stream(stream.clone()).await;
                done.map_err(|error| TopologyError::new(&what, &error))?;
                created.push(what);
            }
        }
        for (stream, consumer) in &self.consumers {
            let what = consumer_name(stream, consumer);
            if missing(&what) {
                let done = nats
                    .jetstream
                    .create_consumer_on_stream(consumer.clone(), *stream)
                    .await;
                done.map_err(|error| TopologyError::new(&what, &error))?;
                created.push(what);
            }
        }
        let differences = differences.into_iter().filter(|d| d.setting.is_some()).collect();
        Ok((created, differences))
    }

    /// What is missing on the server and what differs there. Changes nothing.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn diff(&self, nats: &Nats) -> Result<Vec<Difference>, TopologyError> {
        let mut differences = Vec::new();
        for wanted in &self.streams {
            let what = stream_name(wanted);
            let request = format!("STREAM.INFO.{}", wanted.name);
            let found = ask(nats, &what, request).await?;
            compare(&what, &json(&what, wanted)?, found, &mut differences);
        }
        for (stream, wanted) in &self.consumers {
            let what = consumer_name(stream, wanted);
            let name = wanted.durable_name.as_deref().unwrap_or_default();
            let found = ask(nats, &what, format!("CONSUMER.INFO.{stream}.{name}")).await?;
            compare(&what, &json(&what, wanted)?, found, &mut differences);
        }
        Ok(differences)
    }
}

/// The durable consumer of a step, on the journal and on its retries.
pub(crate) fn step_consumer(plan: &Plan, step: StepIx) -> String {
    format!("{}-{}", plan.saga, plan.step(step).name)
}

/// The durable consumer of a saga's owner, on the journal, the inbox, the timers and its retries.
pub(crate) fn owner_consumer(plan: &Plan) -> String {
    format!("{}-{OWNER}", plan.saga)
}

/// The consumers of one step: what it hears, and what it was told to try again.
pub fn step_consumers(plan: &Plan, ix: StepIx) -> Vec<(&'static str, pull::Config)> {
    let name = step_consumer(plan, ix);
    let heard = plan
        .triggers(ix)
        .iter()
        .map(|t| subject::events_of_type(&plan.saga, t))
        .collect();
    let again = subject::retries_due(&plan.saga, plan.step(ix).name.as_str());
    vec![
        (EVENTS, consumer(&name, heard)),
        (RETRY, consumer(&name, vec![again])),
    ]
}

/// The consumers of a saga's owner.
pub fn owner_consumers(plan: &Plan) -> Vec<(&'static str, pull::Config)> {
    let name = owner_consumer(plan);
    let heard = plan
        .owner_triggers()
        .iter()
        .map(|t| subject::events_of_type(&plan.saga, t))
        .collect();
    let again = subject::retries_due(&plan.saga, OWNER);
    vec![
        (
            INBOX,
            pull::Config {
                max_ack_pending: INBOX_PENDING,
                ..consumer(&name, vec![subject::inbox_of(&plan.saga)])
            },
        ),
        (EVENTS, consumer(&name, heard)),
        (
            TIMERS,
            consumer(&name, vec![subject::timers_due(&plan.saga, DEADLINE)]),
        ),
        (RETRY, consumer(&name, vec![again])),
    ]
}

/// The consumers of a plain handler.
pub fn handler_consumers(
    name: &str,
    kind: &Token,
    event_types: &[Token],
) -> Vec<(&'static str, pull::Config)> {
    let heard = event_types
        .iter()
        .map(|t| subject::events_of_type(kind, t))
        .collect();
    vec![
        (EVENTS, consumer(name, heard)),
        (RETRY, consumer(name, vec![subject::retries_due(kind, name)])),
    ]
}

/// A durable pull consumer, shared by all replicas of its worker. It delivers for ever: what cannot be handled
/// is buried by the worker, never dropped by the server.
fn consumer(name: &str, filters: Vec<String>) -> pull::Config {
    pull::Config {
        durable_name: Some(name.to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        max_ack_pending: 4096,
        filter_subjects: filters,
        ..pull::Config::default()
    }
}

/// A stream that refuses when it is full instead of forgetting.
fn open(name: &str, subjects: &[&str]) -> stream::Config {
    stream::Config {
        name: name.to_owned(),
        subjects: subjects.iter().map(|s| (*s).to_owned()).collect(),
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        allow_direct: true,
        ..stream::Config::default()
    }
}

/// The same, and nobody can delete from it. It never has schedules, roll-ups or message lifetimes: with those,
/// one header in one permitted publish erases it.
fn sealed(name: &str, subjects: &[&str]) -> stream::Config {
    stream::Config {
        deny_delete: true,
        deny_purge: true,
        ..open(name, subjects)
    }
}

/// A stream of schedules and of what they fire; fired messages end by their own lifetime, pending ones never.
fn scheduling(name: &str, subjects: &[&str]) -> stream::Config {
    stream::Config {
        allow_message_schedules: true,
        allow_message_ttl: true,
        allow_rollup: true, // schedules bring it with them
        // The server takes no other with schedules. No limit is set, so nothing is ever discarded.
        discard: DiscardPolicy::Old,
        ..open(name, subjects)
    }
}

fn bytes(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn stream_name(stream: &stream::Config) -> String {
    format!("stream {}", stream.name)
}

fn consumer_name(stream: &str, consumer: &pull::Config) -> String {
    format!(
        "consumer {} on {stream}",
        consumer.durable_name.as_deref().unwrap_or_default()
    )
}

fn json<T: serde::Serialize>(what: &str, value: &T) -> Result<Map<String, Value>, TopologyError> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => Err(TopologyError::new(what, &format_args!("{other} is no object"))),
        Err(error) => Err(TopologyError::new(what, &error)),
    }
}

/// The configuration that the server has, or `None` if there is no such thing.
async fn ask(nats: &Nats, what: &str, request: String) -> Result<Option<Map<String, Value>>, TopologyError> {
    let answer = nats
        .client
        .request(format!("$JS.API.{request}"), Bytes::new())
        .await;
    let answer = answer.map_err(|error| TopologyError::new(what, &error))?;
    let answer: Value =
        serde_json::from_slice(&answer.payload).map_err(|error| TopologyError::new(what, &error))?;
    if let Some(error) = answer.get("error") {
        return match error["err_code"].as_u64() {
            Some(10059 | 10014) => Ok(None),
            _ => Err(TopologyError::new(what, &error["description"])),
        };
    }
    Ok(answer["config"].as_object().cloned())
}

/// Fails while a restore is not complete: what it has not brought yet must not be made empty.
async fn none_is_restored(nats: &Nats) -> Result<(), TopologyError> {
    let what = format!("stream {RESTORE}");
    match Restoring::found(&nats.jetstream).await {
        Ok(None) => Ok(()),
        Ok(Some(restoring)) => Err(TopologyError::new(&what, &restoring)),
        Err(why) => Err(TopologyError::new(&what, &why)),
    }
}

/// Compares every setting that we name, and every switch that somebody turned on.
fn compare(
    what: &str,
    wanted: &Map<String, Value>,
    found: Option<Map<String, Value>>,
    out: &mut Vec<Difference>,
) {
    let mut differs = |setting: Option<&str>, wanted: &Value, found: &Value| {
        out.push(Difference {
            what: what.to_owned(),
            setting: setting.map(str::to_owned),
            wanted: wanted.to_string(),
            found: found.to_string(),
        });
    };
    let Some(found) = found.map(one_spelling) else {
        return differs(None, &Value::from("present"), &Value::from("missing"));
    };
    for (setting, wanted) in wanted.iter().filter(|(_, wanted)| !is_unset(wanted)) {
        let found = found.get(setting).unwrap_or(&Value::Null);
        if !covers(found, wanted) {
            differs(Some(setting), wanted, found);
        }
    }
    for (setting, found) in found.iter().filter(|(_, found)| **found == Value::Bool(true)) {
        if wanted
            .get(setting)
            .is_none_or(|wanted| *wanted == Value::Bool(false))
        {
            differs(Some(setting), &Value::Bool(false), found);
        }
    }
    for limit in LIMITS {
        let set = found.get(limit).and_then(Value::as_i64).filter(|n| *n > 0);
        if let Some(set) = set.filter(|_| wanted.get(limit).is_none_or(is_unset)) {
            differs(Some(limit), &Value::from("unlimited"), &Value::from(set));
        }
    }
    for diversion in DIVERSIONS {
        let set = found.get(diversion).filter(|found| !is_unset(found));
        if let Some(set) = set.filter(|_| wanted.get(diversion).is_none_or(is_unset)) {
            differs(Some(diversion), &Value::from("none"), set);
        }
    }
}

/// The server keeps a consumer's only filter under the name that its maker used, and there are two: as one text, or as a
/// list of one.
fn one_spelling(mut found: Map<String, Value>) -> Map<String, Value> {
    if let Some(only) = found.remove("filter_subject").filter(|only| !is_unset(only)) {
        found.insert("filter_subjects".to_owned(), Value::Array(vec![only]));
    }
    found
}

/// What makes a stream forget, or a consumer end, where nobody asked for it.
const LIMITS: [&str; 5] = [
    "max_age",
    "max_msgs",
    "max_bytes",
    "max_msgs_per_subject",
    "inactive_threshold",
];
/// What sends messages elsewhere.
const DIVERSIONS: [&str; 3] = ["republish", "subject_transform", "mirror"];

/// True if `found` says what `wanted` says; where both are objects or lists, part by part, so that what the
/// server adds of its own is no difference.
fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .filter(|(_, wanted)| !is_unset(wanted))
            .all(|(key, wanted)| found.get(key).is_some_and(|found| covers(found, wanted))),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(f, w)| covers(f, w))
        }
        _ => found == wanted,
    }
}

/// True for the value of a setting that leaves the choice to the server.
pub fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(n) => n.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

impl TopologyError {
    fn new(what: &str, why: &dyn fmt::Display) -> Self {
        Self {
            what: what.to_owned(),
            why: why.to_string(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.setting {
            None => write!(f, "{} is missing", self.what),
            Some(setting) => {
                write!(
                    f,
                    "{}: {setting} is {}, wanted {}",
                    self.what, self.found, self.wanted
                )
            }
        }
    }
}
