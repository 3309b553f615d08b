use projection::{Heard, Projection, Rows, Table, Type};
use serde::Deserialize;

/// One row a product: where its units are.
#[derive(Debug)]
pub struct Products;

/// The three numbers of a product's state, and nothing of what is in flight.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Units {
    on_hand: u64,
    reserved: u64,
    shipped: u64,
}

impl Projection for Products {
    fn name(&self) -> &'static str {
        "stock"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["stock"]
    }

    fn tables(&self) -> Vec<Table> {
        let products = Table::new("products")
            .key("sku", Type::Text)
            .integer("on_hand")
            .integer("reserved")
            .integer("shipped")
            .time("updated_at")
            .integer("sequence");
        vec![products]
    }

    fn hear(&self, heard: &Heard, rows: &mut Rows<'_>) -> anyhow::Result<()> {
        let units: Units = serde_json::from_str(heard.state.get())?;
        rows.row("products", [&heard.id])
            .set("on_hand", units.on_hand)
            .set("reserved", units.reserved)
            .set("shipped", units.shipped)
            .set("updated_at", heard.stored_at)
            .set("sequence", heard.sequence)
            .done();
        Ok(())
    }
}
