use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use checkout::stock::{Operation, Outcome};
use inventory::Shelf;
use jetsaga::Token;

/// Stocks every product of a file, once: the operation is named after the product, so that doing it again changes
/// nothing. Returns the products.
pub(crate) async fn from_file(shelf: &Shelf, file: &Path) -> anyhow::Result<Vec<Token>> {
    let shown = file.display();
    let text = std::fs::read(file).with_context(|| format!("stock file {shown} cannot be read"))?;
    let stock: BTreeMap<Token, u32> = serde_json::from_slice(&text)
        .with_context(|| format!("stock file {shown} is no JSON object of products and quantities"))?;
    for (sku, quantity) in &stock {
        seed(shelf, sku, i64::from(*quantity)).await?;
    }
    Ok(stock.into_keys().collect())
}

/// Stocks one product, once.
pub(crate) async fn seed(shelf: &Shelf, sku: &Token, quantity: i64) -> anyhow::Result<()> {
    // A product's own name fits; the prefix may not, and then the name alone is as good.
    let operation = Token::new(&format!("seed-{sku}")).unwrap_or_else(|_| sku.clone());
    match shelf
        .carry_out(Operation::adjust(operation, sku.clone(), quantity))
        .await?
    {
        Outcome::Adjusted { .. } => Ok(()),
        other => anyhow::bail!("{quantity} of {sku} cannot be stocked: {other:?}"),
    }
}
