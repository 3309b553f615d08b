use std::time::Duration;

use anyhow::Context as _;
use async_nats::{HeaderMap, jetstream, jetstream::consumer::pull};
use engine::{
    AppendError, Metrics, Topology,
    broker::{Acker, Arrival, Link},
    faults::{Script, virtual_time},
    now,
};
use futures_util::StreamExt as _;
use proof::sim::{Answerer, Dice, Memory, Mishaps, Port, Server, Story};
use saga::Timestamp;
use tokio::time::{sleep, timeout};

use crate::harness::System;

/// A broker, with a way to take messages from its consumers.
pub struct Place {
    /// The broker.
    pub link: Link,
    kind: Kind,
}

enum Kind {
    Memory(Memory, std::sync::Arc<Port>),
    Real(Box<jetstream::Context>),
}

/// A message that was taken, and the means to answer for it.
pub struct Taken {
    /// The message.
    pub arrival: Arrival,
    /// The means.
    pub acker: Box<dyn Acker>,
}

/// How long a message may take to come.
const PATIENCE: Duration = Duration::from_secs(5);

impl Place {
    /// A broker in memory, in the time of tokio's clock.
    pub fn in_memory() -> Self {
        virtual_time(1);
        let mut dice = Dice::new(1);
        let server = Server::new(&Topology::new(1), dice.another());
        let memory = Memory::new(server, Mishaps::none(dice), Story::new(false));
        let port = memory.port("tester");
        Self {
            link: Link {
                broker: port.clone(),
                metrics: Metrics::new(),
                script: Script::default(),
            },
            kind: Kind::Memory(memory, port),
        }
    }

    /// A real server.
    pub fn on(system: &System) -> Self {
        Self {
            link: system.nats.link(),
            kind: Kind::Real(Box::new(system.js.clone())),
        }
    }

    /// Publishes under these headers.
    ///
    /// # Errors
    /// As the broker answers.
    pub async fn publish(&self, subject: &str, headers: HeaderMap, body: &str) -> Result<u64, AppendError> {
        let body = body.to_owned().into();
        self.link.broker.publish(subject.to_owned(), headers, body).await
    }

    /// Makes a durable consumer of what `filter` matches, with so much patience and room.
    ///
    /// # Errors
    /// When the server does not make it.
    pub async fn employ(
        &self,
        stream: &'static str,
        name: &str,
        filter: &str,
        ack_wait: Duration,
        most: i64,
    ) -> anyhow::Result<()> {
        let config = pull::Config {
            durable_name: Some(name.to_owned()),
            ack_policy: jetstream::consumer::AckPolicy::Explicit,
            ack_wait,
            max_deliver: -1,
            max_ack_pending: most,
            filter_subjects: vec![filter.to_owned()],
            ..pull::Config::default()
        };
        match &self.kind {
            Kind::Memory(memory, _) => drop(memory.server().employ(stream, &config, now())),
            Kind::Real(js) => drop(js.create_consumer_on_stream(config, stream).await?),
        }
        Ok(())
    }

    /// The next message of a consumer.
    ///
    /// # Errors
    /// When none comes.
    pub async fn take(&self, stream: &'static str, name: &str) -> anyhow::Result<Taken> {
        let taken = self.take_within(stream, name, PATIENCE).await?;
        taken.with_context(|| format!("{name} is handed nothing"))
    }

    /// The next message of a consumer, if one comes in time.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn take_within(
        &self,
        stream: &'static str,
        name: &str,
        patience: Duration,
    ) -> anyhow::Result<Option<Taken>> {
        match &self.kind {
            Kind::Memory(memory, port) => Ok(timeout(patience, from_memory(memory, port, stream, name))
                .await
                .ok()),
            Kind::Real(js) => from_server(js, stream, name, patience).await,
        }
    }

    /// Lets time pass.
    pub async fn wait(&self, pause: Duration) {
        sleep(pause).await;
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        now()
    }
}

async fn from_memory(
    memory: &Memory,
    port: &std::sync::Arc<Port>,
    stream: &'static str,
    name: &str,
) -> Taken {
    loop {
        let out = {
            let mut server = memory.server();
            let place = (0..server.consumers()).find(|at| server.consumer(*at) == (name, stream));
            server.hand_out(now(), |at| Some(at) == place)
        };
        if let Some(out) = out {
            let acker = Answerer {
                port: port.clone(),
                consumer: out.consumer,
                sequence: out.arrival.sequence,
            };
            return Taken {
                arrival: out.arrival,
                acker: Box::new(acker),
            };
        }
        memory.changed().await;
    }
}

async fn from_server(
    js: &jetstream::Context,
    stream: &str,
    name: &str,
    patience: Duration,
) -> anyhow::Result<Option<Taken>> {
    let consumer: jetstream::consumer::PullConsumer = js.get_consumer_from_stream(name, stream).await?;
    let mut batch = consumer
        .fetch()
        .max_messages(1)
        .expires(patience)
        .messages()
        .await?;
    let Some(message) = batch.next().await else {
        return Ok(None);
    };
    let message = message.map_err(anyhow::Error::from_boxed)?;
    let info = message.info().map_err(anyhow::Error::from_boxed)?;
    let (sequence, delivered) = (info.stream_sequence, u64::try_from(info.delivered)?);
    let (stream, stored_at) = (info.stream.to_owned(), info.published.into());
    let (message, acker) = message.split();
    Ok(Some(Taken {
        arrival: Arrival {
            stream,
            sequence,
            delivered,
            stored_at,
            subject: message.subject.into_string(),
            headers: message.headers.unwrap_or_default(),
            body: message.payload,
        },
        acker: Box::new(acker),
    }))
}
