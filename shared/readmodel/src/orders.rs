use projection::{Heard, Projection, Rows, Table, Type};
use saga::{State, Token};

use crate::{
    Status,
    placed::{amount, minor, saga_of},
};

/// One row an order, with an index for each filter of a list, in the order of time.
///
/// `customer_status` is both in one: with a filter on two columns, databases take the index of one of them and look at all
/// that the other one leaves out.
#[derive(Debug)]
pub struct Orders;

impl Projection for Orders {
    fn name(&self) -> &'static str {
        "orders"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["checkout"]
    }

    fn tables(&self) -> Vec<Table> {
        let orders = Table::new("orders")
            .key("order_id", Type::Text)
            .text("customer_id")
            .text("status")
            .text("customer_status")
            .integer("total")
            .integer("items")
            .integer("pieces")
            .count("charged")
            .count("refunded")
            .time("created_at")
            .time("updated_at")
            .time("ended_at")
            .text("reason")
            .integer("sequence")
            .index(&["created_at", "order_id"])
            .index(&["status", "created_at", "order_id"])
            .index(&["customer_id", "created_at", "order_id"])
            .index(&["customer_status", "created_at", "order_id"]);
        vec![orders]
    }

    fn hear(&self, heard: &Heard, rows: &mut Rows<'_>) -> anyhow::Result<()> {
        let (state, order) = saga_of(heard)?;
        let status = Status::of(&state);
        let pieces: u64 = order.items.iter().map(|line| u64::from(line.quantity)).sum();
        let mut row = rows
            .row("orders", [&heard.id])
            .first("customer_id", &order.customer_id)
            .first("total", minor(order.total_amount))
            .first("items", u64::try_from(order.items.len())?)
            .first("pieces", pieces)
            .first("created_at", heard.stored_at)
            .set("status", status.as_str())
            .set("customer_status", customer_status(&order.customer_id, status))
            .set("updated_at", heard.stored_at)
            .set("reason", reason(&state))
            .set("sequence", heard.sequence);
        if state.is_final() {
            row = row.first("ended_at", heard.stored_at);
        }
        row = match heard.event.event_type.as_str() {
            "PaymentProcessed" => row.add("charged", amount(&heard.event.payload)?),
            "PaymentRefunded" => row.add("refunded", amount(&heard.event.payload)?),
            _ => row,
        };
        row.done();
        Ok(())
    }
}

/// What the column of that name holds.
pub(crate) fn customer_status(customer: &Token, status: Status) -> String {
    format!("{customer} {status}") // no token holds a space
}

/// Why the order was turned, or what holds it up.
fn reason(state: &State) -> Option<&str> {
    let turned = state.turned.as_ref().map(|turn| turn.reason.as_str());
    turned.or_else(|| state.stuck().next().map(|(_, stuck)| stuck.reason.as_str()))
}
