use std::path::PathBuf;

use anyhow::Context as _;
use checkout::stock::{Operation, Outcome, Product};
use clap::Subcommand;
use inventory::Shelf;
use jetsaga::{Journal, Nats, Token};
use serde::Serialize;

use crate::{output::Output, seed};

/// What to do with stock.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// Show one product.
    Show {
        /// The product.
        sku: Token,
    },
    /// Change what is on hand by a difference, once for each operation id.
    Adjust {
        /// The product.
        sku: Token,
        /// How many more; fewer if negative.
        #[arg(allow_negative_numbers = true)]
        quantity: i64,
        /// The id of this change. Doing it again under the same id changes nothing.
        #[arg(long)]
        operation: Token,
    },
    /// Stock every product of a file, once.
    Seed {
        /// A JSON object of products and quantities.
        file: PathBuf,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    sku: Token,
    on_hand: u64,
    reserved: u64,
    shipped: u64,
}

/// Does it.
pub(crate) async fn run(nats: &Nats, command: Command, out: Output) -> anyhow::Result<()> {
    let shelf = Shelf::new(Journal::new(nats));
    match command {
        Command::Show { sku } => show(&shelf, sku, out).await,
        Command::Adjust {
            sku,
            quantity,
            operation,
        } => {
            let change = Operation::adjust(operation.clone(), sku.clone(), quantity);
            match shelf.carry_out(change).await? {
                Outcome::Adjusted {
                    sku: was,
                    quantity: by,
                } if was == sku && by == quantity => {}
                Outcome::Adjusted { sku, quantity } => {
                    anyhow::bail!("operation {operation} was {quantity} of {sku}; name another")
                }
                Outcome::NotAdjusted { .. } => {
                    anyhow::bail!("{quantity} of {sku} does not fit what is on hand; nothing was changed")
                }
                other => anyhow::bail!("an adjustment cannot end {other:?}"),
            }
            show(&shelf, sku, out).await
        }
        Command::Seed { file } => {
            for sku in seed::from_file(&shelf, &file).await? {
                show(&shelf, sku, out).await?;
            }
            Ok(())
        }
    }
}

async fn show(shelf: &Shelf, sku: Token, out: Output) -> anyhow::Result<()> {
    let product = shelf.product(&sku).await?;
    let product = product.with_context(|| format!("there is no product {sku}"))?;
    let Product {
        on_hand,
        reserved,
        shipped,
        ..
    } = product;
    out.print(
        &Line {
            sku,
            on_hand,
            reserved,
            shipped,
        },
        |line| {
            format!(
                "{:<20} on hand {:>8}  reserved {:>8}  shipped {:>8}",
                line.sku, line.on_hand, line.reserved, line.shipped
            )
        },
    )
}
