//! The inventory worker sets every item of an order aside, or none; puts them back if the order cannot be fulfilled;
//! and, as a plain handler, marks them as shipped when the order is on its way. Stock lives in the journal under the
//! guard, so it is never oversold, however many replicas work on it.

mod memory;
mod shelf;
mod turns;

use checkout::{
    Checkout, Inventory, InventoryReleased, InventoryReserved, OrderCreated, OutOfStock,
    stock::{
        Adjustment, Items, Named as _, Operation, Outcome as Stock, Product, ProductFact, Reservation,
        ReservationFact,
    },
};
use jetsaga::{
    Compensate, Effect, Entity as _, Handler, Heard, Journal, Nats, Outcome, Perform, Right, Settled, Token,
    Worker, clap, done, refuse,
};

pub use shelf::{Shelf, ShelfError};

/// The name of the handler that marks what is on its way, and of its consumers.
pub const SHIPPED: &str = "inventory-shipped";
/// The events of a checkout that it hears.
pub const HEARD: [&str; 1] = ["OrderShipped"];

/// Flags of the inventory worker: it has none of its own.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Args {}

/// The worker.
///
/// # Errors
/// When the checkout is no plan.
pub async fn worker(_: Args, nats: Nats) -> anyhow::Result<Worker> {
    over(Journal::new(&nats))
}

/// The worker whose stock is in this journal.
///
/// # Errors
/// When the checkout is no plan.
pub fn over(journal: Journal) -> anyhow::Result<Worker> {
    let shelf = Shelf::new(journal);
    Ok(Worker::new("inventory")
        .step::<Checkout, Inventory>(Warehouse { shelf: shelf.clone() })?
        .handler(SHIPPED, "checkout", &HEARD, Warehouse { shelf })?
        .needs(rights()))
}

/// Stock is more than the order's own events: the protocol keeps products and reservations, and asks whether adjustments
/// are decided. Nothing here changes stock from outside.
fn rights() -> [Right; 3] {
    let adjusted = ProductFact::StockAdjusted;
    let products = ProductFact::ALL.iter().filter(|fact| **fact != adjusted);
    let products = products.map(|fact| fact.event_type().to_owned()).collect();
    let reservations = ReservationFact::ALL
        .iter()
        .map(|fact| fact.event_type().to_owned());
    [
        Right::Append(Product::KIND.to_owned(), products),
        Right::Append(Reservation::KIND.to_owned(), reservations.collect()),
        Right::Read(Adjustment::KIND.to_owned()),
    ]
}

struct Warehouse {
    shelf: Shelf,
}

impl Perform<Inventory> for Warehouse {
    async fn run(
        &self,
        _: &Effect,
        order: OrderCreated,
    ) -> anyhow::Result<Outcome<InventoryReserved, OutOfStock>> {
        let id = order.order_id.clone();
        let wanted = Operation::reserve(id.clone(), Items::merge(&order.items)?);
        match self.shelf.carry_out(wanted).await? {
            Stock::Held => done(InventoryReserved { order_id: id }),
            Stock::Refused { short } => refuse(out_of_stock(id, &short)),
            Stock::Forbidden => refuse(OutOfStock {
                order_id: id,
                reason: "cancelled".to_owned(),
            }),
            other => anyhow::bail!("a reserve cannot end {other:?}"),
        }
    }

    async fn settle(
        &self,
        _: &Effect,
        order: OrderCreated,
    ) -> anyhow::Result<Settled<InventoryReserved, OutOfStock>> {
        let id = order.order_id.clone();
        let wanted = Operation::settle(id.clone(), Items::merge(&order.items)?);
        Ok(match self.shelf.carry_out(wanted).await? {
            Stock::Held => Settled::Happened(InventoryReserved { order_id: id }),
            Stock::Refused { short } => Settled::Refused(out_of_stock(id, &short)),
            Stock::Forbidden => Settled::Forbidden,
            other => anyhow::bail!("a settle cannot end {other:?}"),
        })
    }
}

impl Compensate<Inventory> for Warehouse {
    async fn undo(&self, _: &Effect, held: InventoryReserved) -> anyhow::Result<InventoryReleased> {
        match self
            .shelf
            .carry_out(Operation::release(held.order_id.clone()))
            .await?
        {
            Stock::Released => Ok(InventoryReleased {
                order_id: held.order_id,
            }),
            other => anyhow::bail!("the release of a held reservation cannot end {other:?}"),
        }
    }
}

impl Handler for Warehouse {
    async fn handle(&self, heard: &Heard) -> anyhow::Result<()> {
        match self.shelf.carry_out(Operation::ship(heard.id.clone())).await? {
            Stock::Shipped => Ok(()),
            other => anyhow::bail!("the shipment of a held reservation cannot end {other:?}"),
        }
    }
}

fn out_of_stock(order_id: Token, short: &Token) -> OutOfStock {
    OutOfStock {
        order_id,
        reason: format!("{short} is out of stock"),
    }
}
