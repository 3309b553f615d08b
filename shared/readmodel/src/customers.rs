use projection::{Heard, Projection, Rows, Table, Type};

use crate::placed::{amount, minor, saga_of};

/// One row a customer: how many orders, how much money, when. Nothing personal.
#[derive(Debug)]
pub struct Customers;

impl Projection for Customers {
    fn name(&self) -> &'static str {
        "customers"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["checkout", "customer"]
    }

    fn tables(&self) -> Vec<Table> {
        let customers = Table::new("customers")
            .key("customer_id", Type::Text)
            .count("orders")
            .count("completed")
            .count("cancelled")
            .count("ordered")
            .count("charged")
            .count("refunded")
            .text("last_order")
            .time("last_order_at")
            .time("created_at")
            .time("changed_at")
            .time("erased_at")
            .integer("sequence");
        vec![customers]
    }

    fn hear(&self, heard: &Heard, rows: &mut Rows<'_>) -> anyhow::Result<()> {
        match heard.kind.as_str() {
            "customer" => {
                of_the_customer(heard, rows);
                Ok(())
            }
            _ => of_an_order(heard, rows),
        }
    }
}

fn of_the_customer(heard: &Heard, rows: &mut Rows<'_>) {
    let row = rows.row("customers", [&heard.id]).set("sequence", heard.sequence);
    match heard.event.event_type.as_str() {
        "CustomerCreated" => row.first("created_at", heard.stored_at),
        "CustomerErased" => row.first("erased_at", heard.stored_at),
        _ => row.set("changed_at", heard.stored_at),
    }
    .done();
}

fn of_an_order(heard: &Heard, rows: &mut Rows<'_>) -> anyhow::Result<()> {
    let event_type = heard.event.event_type.as_str();
    let tells = [
        "OrderCreated",
        "PaymentProcessed",
        "PaymentRefunded",
        "OrderShipped",
        "OrderCancelled",
    ];
    if !tells.contains(&event_type) {
        return Ok(());
    }
    let (_, order) = saga_of(heard)?;
    let row = rows
        .row("customers", [&order.customer_id])
        .set("sequence", heard.sequence);
    match event_type {
        "OrderCreated" => row
            .add("orders", 1)
            .add("ordered", minor(order.total_amount))
            .set("last_order", &heard.id)
            .set("last_order_at", heard.stored_at),
        "PaymentProcessed" => row.add("charged", amount(&heard.event.payload)?),
        "PaymentRefunded" => row.add("refunded", amount(&heard.event.payload)?),
        "OrderShipped" => row.add("completed", 1),
        _ => row.add("cancelled", 1),
    }
    .done();
    Ok(())
}
