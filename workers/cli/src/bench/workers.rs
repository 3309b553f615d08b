//! The steps of the checkout with effects that do nothing, each a process of its own.

use std::{ffi::OsString, process::ExitCode};

use checkout::{
    Checkout, Inventory, InventoryReleased, InventoryReserved, OrderCreated, OrderShipped, OutOfStock,
    Payment, PaymentFailed, PaymentProcessed, PaymentRefunded, Shipping, ShippingFailed,
};
use jetsaga::{Compensate, Effect, Outcome, Perform, Worker, clap, done, launch_from, refuse};

use super::{bare, orders, site::Role};

/// These workers have no flags of their own.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
struct NoArgs {}

/// Runs one worker of the benchmark as this process, by its hidden name; `None` if it has none such.
pub(crate) fn run(name: &str, line: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if let Some(role) = name.strip_prefix("bench-bare-").and_then(Role::named) {
        return Some(bare::run(role, line));
    }
    let role = name.strip_prefix("bench-").and_then(Role::named)?;
    let build = move |_: NoArgs, _| async move { worker(role) };
    Some(launch_from(role.word(), "A worker of the benchmark", line, build))
}

fn worker(role: Role) -> anyhow::Result<Worker> {
    let worker = Worker::new(role.word());
    Ok(match role {
        // The real owner's door; no order comes in by it here.
        Role::Order => worker.own::<Checkout>(std::time::Duration::from_secs(900), |_| {
            Err("the benchmark's orders are in the journal already".to_owned())
        })?,
        Role::Payment => worker.step::<Checkout, Payment>(Idle)?,
        Role::Inventory => worker.step::<Checkout, Inventory>(Idle)?,
        Role::Shipping => worker.pivot::<Checkout, Shipping>(Idle)?,
    })
}

/// Answers at once and does nothing.
struct Idle;

impl Perform<Payment> for Idle {
    async fn run(
        &self,
        _: &Effect,
        order: OrderCreated,
    ) -> anyhow::Result<Outcome<PaymentProcessed, PaymentFailed>> {
        done(orders::paid(&order))
    }
}

impl Compensate<Payment> for Idle {
    async fn undo(&self, _: &Effect, paid: PaymentProcessed) -> anyhow::Result<PaymentRefunded> {
        Ok(orders::refunded(&paid))
    }
}

impl Perform<Inventory> for Idle {
    async fn run(
        &self,
        _: &Effect,
        order: OrderCreated,
    ) -> anyhow::Result<Outcome<InventoryReserved, OutOfStock>> {
        if orders::is_out_of_stock(order.order_id.as_str()) {
            return refuse(orders::out_of_stock(order.order_id));
        }
        done(orders::reserved(order.order_id))
    }
}

impl Compensate<Inventory> for Idle {
    async fn undo(&self, _: &Effect, held: InventoryReserved) -> anyhow::Result<InventoryReleased> {
        Ok(orders::released(held.order_id))
    }
}

impl Perform<Shipping> for Idle {
    async fn run(
        &self,
        _: &Effect,
        (order, _, _): (OrderCreated, PaymentProcessed, InventoryReserved),
    ) -> anyhow::Result<Outcome<OrderShipped, ShippingFailed>> {
        done(orders::shipped(order.order_id))
    }
}
