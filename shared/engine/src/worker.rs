use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_nats::jetstream::consumer::pull;
use futures_util::FutureExt as _;
use prometheus_client::metrics::gauge::Gauge;
use saga::{Fact, Irreversible, Payload, Plan, PlanError, Retry, Saga, Step, StepIx, Token};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    EngineArgs, Journal, Nats, Permissions, Right,
    broker::Link,
    consumer::{ConsumerLoop, Pace, Trigger},
    faults,
    handler::{AnyHandler, Handler, HandlerWorker},
    health,
    ladder::StepWorker,
    lag,
    letters::Letters,
    nats::user_of,
    owner::Owner,
    service::{AnyService, Service},
    step::{Act, Compensate, Perform, Reversible, Typed},
    topology::{Topology, handler_consumers, owner_consumers, step_consumers},
};

/// Everything that one process does: any number of steps, owners, plain handlers and services.
///
/// All of it is stateless, as far as its services are: any number of processes may run the same worker, and any of them may die at any
/// moment.
pub struct Worker {
    name: &'static str,
    roles: Vec<Role>,
    topology: Vec<(&'static str, pull::Config)>,
    rights: Vec<Right>,
}

enum Role {
    Step {
        plan: Arc<Plan>,
        step: StepIx,
        retry: Retry,
        handler: Box<dyn Act>,
    },
    Owner {
        plan: Arc<Plan>,
        accept: Box<crate::owner::Accept>,
        deadline: Duration,
    },
    Handler {
        name: String,
        kind: Token,
        types: Vec<Token>,
        retry: Retry,
        handler: Box<dyn AnyHandler>,
    },
    Service {
        name: &'static str,
        service: Box<dyn AnyService>,
    },
}

/// Why a worker cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The saga's definition is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The step is not one of the saga's.
    #[error("saga {saga} has no step {step}; add it to the saga's Steps, or run it for another saga")]
    NoSuchStep {
        /// The saga.
        saga: &'static str,
        /// The step.
        step: &'static str,
    },
    /// A name is no subject token.
    #[error(transparent)]
    Name(#[from] saga::TokenError),
}

impl Worker {
    /// A worker that does nothing yet.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            roles: Vec::new(),
            topology: Vec::new(),
            rights: Vec::new(),
        }
    }

    /// Its name, for logs and connections.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the step `S` of the saga `G`, which can be undone.
    ///
    /// # Errors
    /// When `G` is no plan, or has no such step.
    pub fn step<G: Saga, S: Step<Undone: Fact>>(
        self,
        handler: impl Compensate<S>,
    ) -> Result<Self, BuildError> {
        self.any_step::<G, S>(
            Box::new(Typed::<S, _, Reversible>::new(handler)),
            Retry::default(),
        )
    }

    /// Runs the step `S` of the saga `G`, which cannot be undone.
    ///
    /// # Errors
    /// When `G` is no plan, or has no such step.
    pub fn pivot<G: Saga, S: Step<Undone = Irreversible>>(
        self,
        handler: impl Perform<S>,
    ) -> Result<Self, BuildError> {
        self.any_step::<G, S>(
            Box::new(Typed::<S, _, Irreversible>::new(handler)),
            Retry::default(),
        )
    }

    /// Spaces the attempts of the step or handler that was added last.
    #[must_use]
    pub fn retrying(mut self, spacing: Retry) -> Self {
        if let Some(Role::Step { retry, .. } | Role::Handler { retry, .. }) = self.roles.last_mut() {
            *retry = spacing;
        }
        self
    }

    /// Owns the saga `G`: lets it in through `accept`, ends it after `deadline` at the latest unless its pivot is
    /// open then, and records the end of every compensation.
    ///
    /// # Errors
    /// When `G` is no plan.
    pub fn own<G: Saga>(
        mut self,
        deadline: Duration,
        accept: impl Fn(&Payload) -> Result<(Token, Payload), String> + Send + Sync + 'static,
    ) -> Result<Self, BuildError> {
        let plan = Arc::new(Plan::of::<G>()?);
        self.topology.extend(owner_consumers(&plan));
        self.roles.push(Role::Owner {
            plan,
            accept: Box::new(accept),
            deadline,
        });
        Ok(self)
    }

    /// Runs a plain handler called `name` on the events of these types of `kind`.
    ///
    /// # Errors
    /// When a name is no subject token.
    pub fn handler(
        mut self,
        name: &str,
        kind: &str,
        event_types: &[&str],
        handler: impl Handler,
    ) -> Result<Self, BuildError> {
        let (name, kind) = (Token::new(name)?, Token::new(kind)?);
        let types = event_types
            .iter()
            .map(|t| Token::new(t))
            .collect::<Result<Vec<_>, _>>()?;
        self.topology
            .extend(handler_consumers(name.as_str(), &kind, &types));
        let (name, retry, handler) = (name.to_string(), Retry::default(), Box::new(handler));
        self.roles.push(Role::Handler {
            name,
            kind,
            types,
            retry,
            handler,
        });
        Ok(self)
    }

    /// Runs `service`, called `name` in logs, beside everything else: see [`Service`].
    #[must_use]
    pub fn service(mut self, name: &'static str, service: impl Service) -> Self {
        let service = Box::new(service);
        self.roles.push(Role::Service { name, service });
        self
    }

    /// Says what it does on the server beside what its steps, sagas and handlers do by themselves. Where each worker is a
    /// user of its own, the server lets it do nothing else.
    #[must_use]
    pub fn needs(mut self, rights: impl IntoIterator<Item = Right>) -> Self {
        self.rights.extend(rights);
        self
    }

    /// What it may do in a system of these streams and consumers, which are those of every worker.
    pub fn permissions(&self, system: &Topology) -> Permissions {
        let mut permissions = Permissions::of_user(&user_of(self.name), system);
        permissions.consume(&self.topology);
        for role in &self.roles {
            match role {
                Role::Step { plan, step, .. } => permissions.step(plan, *step),
                Role::Owner { plan, .. } => permissions.own(plan),
                Role::Handler { name, kind, .. } => permissions.handle(name, kind),
                Role::Service { .. } => {}
            }
        }
        for right in &self.rights {
            permissions.add(right, system);
        }
        permissions
    }

    /// The streams, and the consumers that this worker needs.
    pub fn topology(&self, replicas: usize) -> Topology {
        Topology {
            consumers: self.topology.clone(),
            ..Topology::new(replicas)
        }
    }

    /// Works until `stop`, then drains: takes nothing more, hands back what it had not begun, finishes what it
    /// had, at most as long as the drain limit.
    ///
    /// # Errors
    /// When a service of it ended before the stop: everything else is drained then.
    pub async fn run(
        self,
        nats: &Nats,
        args: &EngineArgs,
        probes: Option<TcpListener>,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let pace = Pace {
            concurrency: args.concurrency,
            limit: args.handler_limit,
            drain: args.drain_limit,
        };
        let (name, link) = (self.name, nats.link());
        let (halt, stop) = halting(stop);
        let mut tasks = JoinSet::new();
        // Somebody may ask to the end: they are served outside of the tasks that a drain waits for.
        let mut asked = JoinSet::new();
        let lag_is_shown = probes.is_some() || args.otlp.takes_metrics();
        if let Some(listener) = probes {
            asked.spawn(health::serve(listener, nats.clone(), stop.clone()));
        }
        let watched = lag_is_shown.then(Vec::new);
        let mut crew = Crew {
            watched,
            nats,
            letters: Letters::over(link.clone()),
            pace,
            stop: stop.clone(),
            tasks: &mut tasks,
        };
        for role in self.roles {
            role.take_up(&link, pace.limit, &mut crew);
        }
        if let Some(consumers) = crew.watched {
            let lag = lag::watch(nats.clone(), consumers, stop.clone());
            tasks.spawn(async {
                lag.await;
                Ok(())
            });
        }
        tracing::info!(worker = name, "working");
        let late = out_of_time(stop, &nats.metrics.draining, pace.drain + GRACE);
        let mut failed = None;
        tokio::select! {
            () = ended(name, &mut tasks, &halt, &mut failed) => {}
            () = late => tracing::warn!(worker = name, left = tasks.len(), "drain limit reached; what is left is given up, and comes again"),
        }
        // What was acknowledged last may still be in the client's buffer, or nowhere to be sent to.
        match timeout(GRACE, nats.client.flush()).await {
            Ok(Ok(())) => tracing::info!(worker = name, "drained"),
            _ => tracing::warn!(
                worker = name,
                "the last acknowledgements may be lost; those messages come again"
            ),
        }
        failed.map_or(Ok(()), Err)
    }

    /// Its consumers, each with what serves it, over any broker. An effect may take as long as `limit`.
    #[cfg(feature = "testing")]
    pub fn stations(self, link: &Link, limit: Duration) -> Vec<crate::station::Station> {
        let mut stations = crate::station::Stations::new(link.clone(), limit);
        for role in self.roles {
            role.take_up(link, limit, &mut stations);
        }
        stations.done()
    }

    fn any_step<G: Saga, S: Step>(mut self, handler: Box<dyn Act>, retry: Retry) -> Result<Self, BuildError> {
        let plan = Arc::new(Plan::of::<G>()?);
        let step = plan.find(S::NAME).ok_or(BuildError::NoSuchStep {
            saga: G::NAME,
            step: S::NAME,
        })?;
        self.topology.extend(step_consumers(&plan, step));
        self.roles.push(Role::Step {
            plan,
            step,
            retry,
            handler,
        });
        Ok(self)
    }
}

/// What is left to the journal after a drain: to hand back what was not begun, and to send the last acknowledgements.
const GRACE: Duration = Duration::from_secs(1);

/// Waits for `stop`, and then as long as the drain may take.
async fn out_of_time(mut stop: watch::Receiver<bool>, draining: &Gauge, limit: Duration) {
    let _ = stop.wait_for(|stop| *stop).await; // a dropped sender stops as well
    draining.set(1);
    sleep(limit).await;
}

/// A stop of our own, which follows `outer`: a worker whose service has ended stops by itself.
fn halting(mut outer: watch::Receiver<bool>) -> (watch::Sender<bool>, watch::Receiver<bool>) {
    let (halt, halted) = watch::channel(*outer.borrow());
    let follow = halt.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = outer.wait_for(|stop| *stop) => {} // a dropped sender stops as well
            () = follow.closed() => {}
        }
        follow.send_replace(true);
    });
    (halt, halted)
}

/// Waits for every task. The first service that fails stops the others, and its error is left in `failed`.
async fn ended(
    worker: &str,
    tasks: &mut JoinSet<anyhow::Result<()>>,
    halt: &watch::Sender<bool>,
    failed: &mut Option<anyhow::Error>,
) {
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(worker, "{error:#}");
                halt.send_replace(true);
                failed.get_or_insert(error);
            }
            Err(error) => tracing::error!(worker, %error, "a consumer died"),
        }
    }
}

/// Runs a service. It fails if it ends before `stop`, and if it panics.
async fn serve(
    name: &'static str,
    service: Box<dyn AnyService>,
    nats: Nats,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let running = AssertUnwindSafe(service.start(nats, stop.clone())).catch_unwind();
    match running.await {
        Ok(Ok(())) if *stop.borrow() => Ok(()),
        Ok(Ok(())) => Err(anyhow::anyhow!("service {name} ended though nobody stopped it")),
        Ok(Err(error)) => Err(error.context(format!("service {name} failed"))),
        Err(_) => Err(anyhow::anyhow!("service {name} panicked")),
    }
}

/// Whoever sets consumers to work.
pub(crate) trait Employ {
    /// Has `trigger` serve the messages of these consumers.
    fn employ<T: Trigger>(&mut self, consumers: Vec<(&'static str, pull::Config)>, trigger: T);

    /// Has `service` run.
    fn serve(&mut self, name: &'static str, service: Box<dyn AnyService>);
}

impl Role {
    /// Makes what the role does, and has it employed.
    fn take_up(self, link: &Link, limit: Duration, employer: &mut impl Employ) {
        let journal = Journal::over(link.clone());
        match self {
            Self::Step {
                plan,
                step,
                retry,
                handler,
            } => {
                let plan = faults::version(link, plan);
                let consumers = step_consumers(&plan, step);
                employer.employ(
                    consumers,
                    StepWorker {
                        journal,
                        plan,
                        step,
                        retry,
                        limit,
                        handler,
                    },
                );
            }
            Self::Owner {
                plan,
                accept,
                deadline,
            } => {
                let plan = faults::version(link, plan);
                let consumers = owner_consumers(&plan);
                let retry = Retry::default();
                employer.employ(
                    consumers,
                    Owner {
                        journal,
                        plan,
                        accept,
                        deadline,
                        retry,
                    },
                );
            }
            Self::Handler {
                name,
                kind,
                types,
                retry,
                handler,
            } => {
                let consumers = handler_consumers(&name, &kind, &types);
                employer.employ(
                    consumers,
                    HandlerWorker {
                        link: link.clone(),
                        name,
                        kind,
                        retry,
                        limit,
                        handler,
                    },
                );
            }
            Self::Service { name, service } => employer.serve(name, service),
        }
    }
}

/// What every consumer of a worker shares.
struct Crew<'a> {
    nats: &'a Nats,
    /// The consumers whose lag is shown; none of them where nobody looks.
    watched: Option<Vec<(&'static str, String)>>,
    letters: Letters,
    pace: Pace,
    stop: watch::Receiver<bool>,
    tasks: &'a mut JoinSet<anyhow::Result<()>>,
}

impl Employ for Crew<'_> {
    fn employ<T: Trigger>(&mut self, consumers: Vec<(&'static str, pull::Config)>, trigger: T) {
        let trigger = Arc::new(trigger);
        for (stream, config) in consumers {
            let consumer = ConsumerLoop {
                nats: self.nats.clone(),
                letters: self.letters.clone(),
                stream,
                name: config.durable_name.unwrap_or_default(),
                trigger: trigger.clone(),
                pace: self.pace,
                stop: self.stop.clone(),
            };
            self.nats.metrics.consumers.inc();
            if let Some(watched) = &mut self.watched {
                watched.push((stream, consumer.name.clone()));
            }
            self.tasks.spawn(async {
                consumer.run().await;
                Ok(())
            });
        }
    }

    fn serve(&mut self, name: &'static str, service: Box<dyn AnyService>) {
        self.nats.metrics.services.inc();
        let (nats, stop) = (self.nats.clone(), self.stop.clone());
        self.tasks.spawn(serve(name, service, nats, stop));
    }
}
