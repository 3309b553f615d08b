use std::{sync::Arc, time::Duration};

use saga::{Fact, Irreversible, Payload, Plan, PlanError, Retry, Saga, Step, StepIx, Token};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{
    EngineArgs, Journal, Nats,
    consumer::{ConsumerLoop, Pace, Trigger},
    handler::{AnyHandler, Handler, HandlerWorker},
    health,
    ladder::StepWorker,
    letters::Letters,
    owner::Owner,
    step::{Act, Compensate, Perform, Reversible, Typed},
    topology::{Topology, handler_consumers, owner_consumers, step_consumers},
};

/// Everything that one process does: any number of steps, owners and plain handlers.
///
/// All of it is stateless: any number of processes may run the same worker, and any of them may die at any
/// moment.
pub struct Worker {
    name: &'static str,
    roles: Vec<Role>,
    topology: Vec<(&'static str, async_nats::jetstream::consumer::pull::Config)>,
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
        retry: Retry,
        handler: Box<dyn AnyHandler>,
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
            retry,
            handler,
        });
        Ok(self)
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
    /// When the journal cannot be opened.
    pub async fn run(
        self,
        nats: &Nats,
        args: &EngineArgs,
        probes: Option<TcpListener>,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let journal = Journal::open(nats).await?;
        let letters = Letters::open(nats).await?;
        let pace = Pace {
            concurrency: args.concurrency,
            limit: args.handler_limit,
            drain: args.drain_limit,
        };
        let name = self.name;
        let mut tasks = JoinSet::new();
        if let Some(listener) = probes {
            tasks.spawn(serve_probes(listener, nats.clone(), stop.clone()));
        }
        let crew = Crew {
            nats: nats.clone(),
            letters,
            pace,
            stop,
        };
        for role in self.roles {
            crew.start(role, &journal, &mut tasks);
        }
        tracing::info!(worker = name, "working");
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(worker = name, %error, "a consumer died");
            }
        }
        // What was acknowledged last may still be in the client's buffer.
        if let Err(error) = nats.client.flush().await {
            tracing::warn!(worker = name, %error, "the last acknowledgements may be lost; they come again");
        }
        tracing::info!(worker = name, "drained");
        Ok(())
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

/// What every consumer of a worker shares.
struct Crew {
    nats: Nats,
    letters: Letters,
    pace: Pace,
    stop: watch::Receiver<bool>,
}

impl Crew {
    fn start(&self, role: Role, journal: &Journal, tasks: &mut JoinSet<()>) {
        let journal = journal.clone();
        match role {
            Role::Step {
                plan,
                step,
                retry,
                handler,
            } => {
                let consumers = step_consumers(&plan, step);
                self.consume(
                    consumers,
                    StepWorker {
                        journal,
                        plan,
                        step,
                        retry,
                        limit: self.pace.limit,
                        handler,
                    },
                    tasks,
                );
            }
            Role::Owner {
                plan,
                accept,
                deadline,
            } => {
                let consumers = owner_consumers(&plan);
                let retry = Retry::default();
                self.consume(
                    consumers,
                    Owner {
                        journal,
                        plan,
                        accept,
                        deadline,
                        retry,
                    },
                    tasks,
                );
            }
            Role::Handler {
                name,
                kind,
                retry,
                handler,
            } => {
                let consumers = handler_consumers(&name, &kind, &[]);
                let nats = self.nats.clone();
                self.consume(
                    consumers,
                    HandlerWorker {
                        nats,
                        name,
                        kind,
                        retry,
                        limit: self.pace.limit,
                        handler,
                    },
                    tasks,
                );
            }
        }
    }

    fn consume<T: Trigger>(
        &self,
        consumers: Vec<(&'static str, async_nats::jetstream::consumer::pull::Config)>,
        trigger: T,
        tasks: &mut JoinSet<()>,
    ) {
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
            tasks.spawn(consumer.run());
        }
    }
}

async fn serve_probes(listener: TcpListener, nats: Nats, stop: watch::Receiver<bool>) {
    if let Err(error) = health::serve(listener, nats, stop).await {
        tracing::error!(%error, "the probes are not served any more");
    }
}
