use std::{future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use saga::{Event, Retry, Timestamp, Token};
use serde_json::value::RawValue;

use crate::{
    bounded::bounded,
    broker::Link,
    consumer::Trigger,
    delivery::Delivery,
    faults::{Point, reach},
    letters::Reason,
    metrics::ByConsumer,
    seen::{look, mark},
    setback::Setback,
    subject::EntitySubject,
};

/// A worker that is no step of a saga: it hears events and does something idempotent about each.
///
/// Each event is handled at least once, and once its mark is written never again; duplicates are recognised by
/// event id for [`crate::SEEN_FOR`]. An `Err` means *try again later*; after the last attempt the event becomes a
/// dead letter, which can be redriven.
pub trait Handler: Send + Sync + 'static {
    /// Handles one event. It may see an event again whose mark was not written: a crash lies between the two.
    fn handle(&self, heard: &Heard) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// An event as a plain handler hears it.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The kind of its entity.
    pub kind: Token,
    /// The id of its entity.
    pub id: Token,
    /// The event.
    pub event: Event<()>,
    /// The entity's state after it, as JSON text.
    pub state: Box<RawValue>,
    /// Its sequence in the journal.
    pub sequence: u64,
    /// When the server stored it.
    pub stored_at: Timestamp,
}

impl Heard {
    /// Reads an event, or says why it is none.
    pub(crate) fn read(
        subject: &str,
        body: &[u8],
        sequence: u64,
        stored_at: Timestamp,
    ) -> Result<Self, String> {
        let (entity, _) =
            EntitySubject::parse(subject).ok_or_else(|| format!("{subject} is no subject of an event"))?;
        let mut event: Event<Box<RawValue>> =
            serde_json::from_slice(body).map_err(|error| format!("it is no event: {error}"))?;
        let state = event
            .state
            .take()
            .ok_or_else(|| "it carries no state".to_owned())?;
        Ok(Self {
            kind: entity.kind().clone(),
            id: entity.id().clone(),
            event: event.with_state(None),
            state,
            sequence,
            stored_at,
        })
    }
}

type Handling<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'a>>;

pub(crate) trait AnyHandler: Send + Sync + 'static {
    fn call<'a>(&'a self, heard: &'a Heard) -> Handling<'a>;
}

impl<H: Handler> AnyHandler for H {
    fn call<'a>(&'a self, heard: &'a Heard) -> Handling<'a> {
        Box::pin(self.handle(heard))
    }
}

/// A plain handler as its workers run it.
pub(crate) struct HandlerWorker {
    pub(crate) link: Link,
    pub(crate) name: String,
    pub(crate) kind: Token,
    pub(crate) retry: Retry,
    /// How long it may take over one event.
    pub(crate) limit: Duration,
    pub(crate) handler: Box<dyn AnyHandler>,
}

impl Trigger for HandlerWorker {
    async fn handle(&self, delivery: &Delivery) -> Result<(), Setback> {
        let poison = |why: String| Setback::Poison(Reason::Undecodable, why);
        let Delivery {
            subject,
            body,
            sequence,
            stored_at,
            ..
        } = delivery;
        let heard = Heard::read(subject, body, *sequence, *stored_at).map_err(poison)?;
        let id = heard.event.event_id;
        if look(&self.link, &self.name, id).await?.is_some() {
            self.link
                .metrics
                .duplicates
                .get_or_create(&ByConsumer::of(&self.name))
                .inc();
            return Ok(());
        }
        reach(Point::BeforeEffect).await?;
        let work = async { self.handler.call(&heard).await.map_err(Setback::Effect) };
        bounded(self.limit, work).await?;
        reach(Point::AfterEffect).await?;
        mark(&self.link, &self.name, id, Bytes::new()).await?;
        Ok(())
    }

    fn retry(&self) -> Retry {
        self.retry
    }

    fn address(&self, delivery: &Delivery) -> Option<(Token, String, Token)> {
        let (entity, _) = EntitySubject::parse(&delivery.subject)?;
        Some((self.kind.clone(), self.name.clone(), entity.id().clone()))
    }

    fn buries(&self) -> bool {
        true
    }
}
