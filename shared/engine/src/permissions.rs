//! What a worker may do on the server: exactly the subjects that it needs, told from what it does.
//!
//! What no subject tells, no permission keeps apart (nats-server 2.15.1, tried):
//! - the leader's read of a stream is one subject for all of it, so whoever may read one kind there may read every kind;
//!   what is personal stays sealed, for the keys are another stream;
//! - the server answers to whatever subject a request names, and delivers to whatever subject a consumer names. A worker
//!   that was taken over can have it copy a message onto a subject that the worker itself may not publish to. What finds
//!   such an event of the journal is `jetsaga fsck`, which holds every event against its guard and its saga's rules;
//! - a schedule may aim at every subject of its own stream, and a roll-up header erases the stream of schedules that it is
//!   sent to; `jetsaga fsck --repair` puts lost retries and timers back;
//! - whoever follows a stream can make a consumer that lasts, under a name that is no worker's;
//! - who may make a stream may make it of everything: the keys of others, their answers. So nobody's everyday user does
//!   ([`Right::Publish`] of `STREAM.CREATE` is for the user that sets a system up, and for its keeper).

use std::collections::BTreeSet;

use async_nats::jetstream::consumer::pull;
use saga::{Plan, STEP_STUCK, StepIx, Token};

use crate::{
    Topology,
    subject::{EVENTS, KV_KEYS, KV_STATE, LETTERS, OWNER, RESTORE, RETRY, SEEN},
    topology::{DEADLINE, owner_consumer},
};

/// Something that a worker does on the server. What follows from its steps, sagas and handlers is known to the engine; the
/// rest is declared where it is done, by [`crate::Worker::needs`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    /// Appends events of these types to entities of this kind, and reads the entities.
    Append(String, Vec<String>),
    /// Reads the entities of this kind.
    Read(String),
    /// Keeps the keys of personal data of this kind, and deletes them.
    Keys(String),
    /// Follows a stream in order, see [`crate::Feed`].
    Follow(&'static str),
    /// Reads single messages of a stream from its leader. The server cannot tell which: it is all of the stream.
    Look(&'static str),
    /// Reads dead letters, and gives them back or removes them.
    Redrive,
    /// Publishes on a subject, which may have wildcards.
    Publish(String),
}

/// What a user may publish and subscribe to: nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// What it may publish to.
    pub publish: BTreeSet<String>,
    /// What of that it may not.
    pub not: BTreeSet<String>,
    /// What it may subscribe to.
    pub subscribe: BTreeSet<String>,
}

impl Permissions {
    /// What everybody needs: to ask whether JetStream is there, whether a restore is under way, and how each stream of the
    /// system is set; and an inbox of its own.
    pub fn of_user(user: &str, system: &Topology) -> Self {
        let mut new = Self::default();
        new.subscribe.insert(format!("_INBOX.{user}.>"));
        new.api("INFO");
        new.api(&format!("STREAM.INFO.{RESTORE}"));
        for stream in &system.streams {
            new.api(&format!("STREAM.INFO.{}", stream.name));
        }
        new
    }

    /// Adds what `right` takes in a system of these streams and consumers.
    pub fn add(&mut self, right: &Right, system: &Topology) {
        match right {
            Right::Append(kind, types) => {
                for event_type in types {
                    self.publish(format!("evt.{kind}.{event_type}.*"));
                }
                self.read(kind);
            }
            Right::Read(kind) => self.read(kind),
            Right::Keys(kind) => {
                self.publish(format!("$KV.KEYS.{kind}.*"));
                self.look(KV_KEYS);
                self.remove(KV_KEYS);
            }
            Right::Follow(stream) => self.follow(stream, system),
            Right::Look(stream) => self.look(stream),
            Right::Redrive => {
                self.look(LETTERS);
                self.remove(LETTERS);
                for filter in ways_back(system) {
                    self.publish(filter);
                }
            }
            Right::Publish(subject) => self.publish(subject.clone()),
        }
    }

    /// What the consumers of a step, an owner or a handler take.
    pub(crate) fn consume(&mut self, consumers: &[(&'static str, pull::Config)]) {
        for (stream, config) in consumers {
            let name = config.durable_name.as_deref().unwrap_or_default();
            self.api(&format!("CONSUMER.INFO.{stream}.{name}"));
            self.api(&format!("CONSUMER.MSG.NEXT.{stream}.{name}"));
            self.publish(format!("$JS.ACK.{stream}.{name}.>"));
            self.publish(format!("$JS.ACK.*.*.{stream}.{name}.>")); // with domain and account, as servers may be set to
            self.publish(format!("dlq.{name}.*.*"));
        }
    }

    /// What a step takes beside its consumers.
    pub(crate) fn step(&mut self, plan: &Plan, ix: StepIx) {
        let step = plan.step(ix);
        let outcomes = [Some(&step.done), Some(&step.refused), step.undone.as_ref()];
        for event_type in outcomes.into_iter().flatten().map(Token::as_str) {
            self.publish(format!("evt.{}.{event_type}.*", plan.saga));
        }
        self.publish(format!("evt.{}.{STEP_STUCK}.*", plan.saga));
        self.read(plan.saga.as_str());
        self.publish(format!("retry.{}.{}.*.*", plan.saga, step.name));
    }

    /// What the owner of a saga takes beside its consumers.
    pub(crate) fn own(&mut self, plan: &Plan) {
        let saga = &plan.saga;
        for event_type in [
            &plan.start,
            &plan.timed_out,
            &plan.cancellation_requested,
            &plan.cancelled,
        ] {
            self.publish(format!("evt.{saga}.{event_type}.*"));
        }
        self.read(saga.as_str());
        self.api(&format!("DIRECT.GET.{KV_STATE}.$KV.STATE.{saga}.*"));
        self.publish(format!("timer.{saga}.*.{DEADLINE}"));
        self.publish(format!("retry.{saga}.{OWNER}.*.*"));
        self.mark(&owner_consumer(plan));
        self.publish("_INBOX.>".to_owned()); // whoever wrote to the inbox is answered in its own
    }

    /// What a plain handler takes beside its consumers.
    pub(crate) fn handle(&mut self, name: &str, kind: &Token) {
        self.publish(format!("retry.{kind}.{name}.*.*"));
        self.mark(name);
    }

    fn mark(&mut self, consumer: &str) {
        self.publish(format!("seen.{consumer}.*"));
        self.look(SEEN);
    }

    /// Any replica tells the last event of one kind alone; the leader is asked by a request that no subject scopes.
    fn read(&mut self, kind: &str) {
        self.api(&format!("DIRECT.GET.{EVENTS}.evt.{kind}.*.*"));
        self.look(EVENTS);
    }

    fn look(&mut self, stream: &str) {
        self.api(&format!("STREAM.MSG.GET.{stream}"));
    }

    fn remove(&mut self, stream: &str) {
        self.api(&format!("STREAM.MSG.DELETE.{stream}"));
    }

    /// The consumer of a feed has a name that nobody knows before, so that every name is allowed but those of the durable
    /// ones. (On the subject that names no consumer the server takes any name, theirs too.)
    fn follow(&mut self, stream: &str, system: &Topology) {
        for what in ["CONSUMER.CREATE", "CONSUMER.MSG.NEXT", "CONSUMER.DELETE"] {
            self.api(&format!("{what}.{stream}.*"));
            for durable in durables(system, stream) {
                self.not.insert(format!("$JS.API.{what}.{stream}.{durable}"));
            }
        }
    }

    fn api(&mut self, request: &str) {
        self.publish(format!("$JS.API.{request}"));
    }

    fn publish(&mut self, subject: String) {
        self.publish.insert(subject);
    }
}

/// The names of the durable consumers of a stream.
fn durables<'a>(system: &'a Topology, stream: &str) -> impl Iterator<Item = &'a str> {
    let of = system.consumers.iter().filter(move |(of, _)| *of == stream);
    of.filter_map(|(_, config)| config.durable_name.as_deref())
}

/// Where dead letters go back to: the inboxes, and the retries of every consumer.
fn ways_back(system: &Topology) -> impl Iterator<Item = String> {
    let of = [RETRY, crate::subject::INBOX];
    let consumers = system
        .consumers
        .iter()
        .filter(move |(stream, _)| of.contains(stream));
    consumers.flat_map(|(_, config)| config.filter_subjects.clone())
}
