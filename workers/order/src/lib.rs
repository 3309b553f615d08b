//! The order worker owns the checkout: it lets orders in, arms their deadlines, takes cancellations, and records
//! the end of every compensation.

use std::time::Duration;

use checkout::{Checkout, order};
use jetsaga::{Nats, Payload, Worker, clap, duration};

/// Flags of the order worker.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Args {
    /// How long a checkout may stay open before it is taken back.
    #[arg(long, env = "ORDER_DEADLINE", default_value = "15m", value_parser = deadline)]
    pub order_deadline: Duration,
}

/// The worker.
///
/// # Errors
/// When the checkout is no plan.
pub async fn worker(args: Args, _: Nats) -> anyhow::Result<Worker> {
    owner(args.order_deadline)
}

/// The worker that gives a checkout so long.
///
/// # Errors
/// When the checkout is no plan.
pub fn owner(deadline: Duration) -> anyhow::Result<Worker> {
    Ok(Worker::new("order").own::<Checkout>(deadline, |payload| {
        let order = order::accept(payload).map_err(|error| error.to_string())?;
        let spelled = Payload::of(&order).map_err(|error| error.to_string())?;
        Ok((order.order_id, spelled))
    })?)
}

fn deadline(text: &str) -> Result<Duration, String> {
    let value = duration(text).map_err(|error| format!("ORDER_DEADLINE: {error}"))?;
    if value.is_zero() || value > Duration::from_secs(30 * 24 * 3600) {
        return Err(format!(
            "ORDER_DEADLINE is {text}; it takes more than nothing and at most 720h"
        ));
    }
    Ok(value)
}
