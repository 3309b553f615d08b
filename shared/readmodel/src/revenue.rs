use projection::{Heard, Projection, Rows, Table, Type};

use crate::{Day, placed::amount};

/// One row a day in UTC, by the time at which the server stored an event: money that came in and went back, and how many
/// orders began and ended.
#[derive(Debug)]
pub struct Revenue;

impl Projection for Revenue {
    fn name(&self) -> &'static str {
        "revenue"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["checkout"]
    }

    fn tables(&self) -> Vec<Table> {
        let revenue = Table::new("revenue")
            .key("day", Type::Text)
            .count("charged")
            .count("refunded")
            .count("charges")
            .count("refunds")
            .count("orders")
            .count("completed")
            .count("cancelled");
        vec![revenue]
    }

    fn hear(&self, heard: &Heard, rows: &mut Rows<'_>) -> anyhow::Result<()> {
        let mut row = |column, by| rows.row("revenue", [day_of(heard)]).add(column, by).done();
        match heard.event.event_type.as_str() {
            "OrderCreated" => row("orders", 1),
            "OrderShipped" => row("completed", 1),
            "OrderCancelled" => row("cancelled", 1),
            "PaymentProcessed" => {
                let charged = amount(&heard.event.payload)?;
                row("charged", charged);
                row("charges", 1);
            }
            "PaymentRefunded" => {
                let refunded = amount(&heard.event.payload)?;
                row("refunded", refunded);
                row("refunds", 1);
            }
            _ => {}
        }
        Ok(())
    }
}

fn day_of(heard: &Heard) -> String {
    Day::of(heard.stored_at).to_string()
}
