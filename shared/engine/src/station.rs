//! A way in for tests: one consumer of a worker, served message by message instead of by a pull from a server.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use async_nats::jetstream::consumer::pull;

use crate::{
    broker::{Acker, Arrival, Link},
    consumer::{Desk, Pace, Trigger},
    delivery::Delivery,
    letters::Letters,
    service::AnyService,
    worker::Employ,
};

type Serve = dyn Fn(Arrival, Box<dyn Acker>) -> Serving + Send + Sync;
type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One consumer, and what serves it.
#[derive(Clone)]
pub struct Station {
    /// The stream.
    pub stream: &'static str,
    /// The consumer, as it stands on the server.
    pub config: pull::Config,
    serve: Arc<Serve>,
}

impl Station {
    /// Handles one message from its delivery to its acknowledgement, as a worker does.
    pub fn serve(&self, arrival: Arrival, acker: Box<dyn Acker>) -> Serving {
        (self.serve)(arrival, acker)
    }
}

/// Collects the stations of a worker.
pub(crate) struct Stations {
    link: Link,
    pace: Pace,
    stations: Vec<Station>,
}

impl Stations {
    pub(crate) const fn new(link: Link, limit: Duration) -> Self {
        let pace = Pace {
            concurrency: 1,
            limit,
            drain: limit,
        };
        Self {
            link,
            pace,
            stations: Vec::new(),
        }
    }

    pub(crate) fn done(self) -> Vec<Station> {
        self.stations
    }
}

impl Employ for Stations {
    fn employ<T: Trigger>(&mut self, consumers: Vec<(&'static str, pull::Config)>, trigger: T) {
        let trigger = Arc::new(trigger);
        for (stream, config) in consumers {
            let name = config.durable_name.clone().unwrap_or_default();
            let letters = Letters::over(self.link.clone());
            let desk = Desk::new(self.link.clone(), letters, &name, trigger.clone(), self.pace);
            let desk = Arc::new(desk);
            let serve = move |arrival, acker| -> Serving {
                let desk = desk.clone();
                Box::pin(async move { desk.take(Delivery::of(arrival, acker)).await })
            };
            self.stations.push(Station {
                stream,
                config,
                serve: Arc::new(serve),
            });
        }
    }

    // A station is a consumer: what is none has no place here.
    fn serve(&mut self, _: &'static str, _: Box<dyn AnyService>) {}
}
