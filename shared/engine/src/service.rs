use std::{future::Future, pin::Pin};

use tokio::sync::watch;

use crate::Nats;

/// What a worker does beside its consumers for as long as it works: it answers requests, or follows the journal.
///
/// A service that ends before it was told to stop ends its worker: the rest drains, and the worker ends with the
/// service's error.
pub trait Service: Send + 'static {
    /// Serves until `stop` is true, or its sender is gone; then finishes what it has taken, within the drain limit.
    ///
    /// The worker is ready once every service of it holds a [`crate::Serving`].
    fn run(
        self,
        nats: Nats,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = anyhow::Result<()>> + Send + 'static;
}

impl<S, F> Service for S
where
    S: FnOnce(Nats, watch::Receiver<bool>) -> F + Send + 'static,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    fn run(
        self,
        nats: Nats,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = anyhow::Result<()>> + Send + 'static {
        self(nats, stop)
    }
}

type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

pub(crate) trait AnyService: Send {
    fn start(self: Box<Self>, nats: Nats, stop: watch::Receiver<bool>) -> Running;
}

impl<S: Service> AnyService for S {
    fn start(self: Box<Self>, nats: Nats, stop: watch::Receiver<bool>) -> Running {
        Box::pin(self.run(nats, stop))
    }
}
