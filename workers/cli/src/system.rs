use checkout::Checkout;
use jetsaga::{Nats, Plan, Token, Topology, Worker, engine::unset_where_empty};

use crate::output::sentence;

/// The flags of every worker of the checkout.
#[derive(clap::Args, Clone, Debug)]
pub struct SystemArgs {
    #[command(flatten)]
    order: order::Args,
    #[command(flatten)]
    payment: payment::Args,
    #[command(flatten)]
    inventory: inventory::Args,
    #[command(flatten)]
    shipping: shipping::Args,
    #[command(flatten)]
    notifier: notifier::Args,
    #[command(flatten)]
    outbound: outbound::Args,
}

impl SystemArgs {
    /// What the environment and the defaults say, with these flags on top.
    ///
    /// # Errors
    /// Names the variable that is wrong.
    pub fn with(flags: &[&str]) -> anyhow::Result<Self> {
        args(flags)
    }
}

/// What the environment and the defaults say of a worker's flags, with these on top.
///
/// # Errors
/// Names the variable that is wrong.
pub(crate) fn args<A: clap::Args>(flags: &[&str]) -> anyhow::Result<A> {
    let command = A::augment_args(clap::Command::new("jetsaga"));
    let line = std::iter::once("jetsaga").chain(flags.iter().copied());
    let matches = unset_where_empty(command).try_get_matches_from(line);
    let args = matches.and_then(|matches| A::from_arg_matches(&matches));
    args.map_err(|error| sentence(&error))
}

/// Every worker of the checkout, each ready to run.
///
/// # Errors
/// When one cannot be built.
pub async fn workers(args: SystemArgs, nats: &Nats) -> anyhow::Result<Vec<Worker>> {
    Ok(vec![
        order::worker(args.order, nats.clone()).await?,
        payment::worker(args.payment, nats.clone()).await?,
        inventory::worker(args.inventory, nats.clone()).await?,
        shipping::worker(args.shipping, nats.clone()).await?,
        notifier::worker(args.notifier, nats.clone()).await?,
        outbound::worker(args.outbound, nats.clone()).await?,
    ])
}

/// Everything of the checkout that should be on the server.
///
/// # Errors
/// When a worker cannot be built.
pub async fn topology(nats: &Nats, replicas: usize) -> anyhow::Result<Topology> {
    let mut topology = Topology::new(replicas);
    for worker in workers(SystemArgs::with(&[])?, nats).await? {
        topology.consumers.extend(worker.topology(replicas).consumers);
    }
    Ok(topology)
}

/// The same, told without a server.
///
/// # Errors
/// When the checkout is no plan.
pub fn written(replicas: usize) -> anyhow::Result<Topology> {
    let plan = Plan::of::<Checkout>()?;
    let types = |names: &[&str]| {
        names
            .iter()
            .map(|name| Token::new(name))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(Topology::new(replicas)
        .with_saga(&plan)
        .with_handler(inventory::SHIPPED, &plan.saga, &types(&inventory::HEARD)?)
        .with_handler(notifier::NAME, &plan.saga, &types(&notifier::HEARD)?))
}
