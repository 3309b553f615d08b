//! The shipping worker joins payment and stock, and hands the parcel to the carrier. It is the pivot: a parcel
//! that is on its way cannot be taken back.

use checkout::{
    Checkout, InventoryReserved, OrderCreated, OrderShipped, PaymentProcessed, Shipping, ShippingFailed,
};
use jetsaga::{Effect, EventId, Nats, Outcome, Perform, Worker, clap, done, refuse};

/// Flags of the shipping worker.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Args {
    /// Postal codes that begin so are not delivered to; separated by commas.
    #[arg(
        long,
        env = "SHIPPING_REFUSED_ZIPS",
        value_delimiter = ',',
        default_value = "00000"
    )]
    pub shipping_refused_zips: Vec<String>,
}

/// The worker.
///
/// # Errors
/// When the checkout is no plan.
pub async fn worker(args: Args, _: Nats) -> anyhow::Result<Worker> {
    refusing(args.shipping_refused_zips)
}

/// The worker that does not deliver to postal codes that begin like one of these.
///
/// # Errors
/// When the checkout is no plan.
pub fn refusing(zips: Vec<String>) -> anyhow::Result<Worker> {
    let refused_zips = zips.into_iter().filter(|zip| !zip.is_empty()).collect();
    Ok(Worker::new("shipping").pivot::<Checkout, Shipping>(Carrier { refused_zips })?)
}

/// The carrier's desk. Its parcel number is a function of the key, so every attempt books the same parcel, and
/// settling is running again.
struct Carrier {
    refused_zips: Vec<String>,
}

impl Perform<Shipping> for Carrier {
    async fn run(
        &self,
        effect: &Effect,
        (order, _, _): (OrderCreated, PaymentProcessed, InventoryReserved),
    ) -> anyhow::Result<Outcome<OrderShipped, ShippingFailed>> {
        let zip = &order.shipping_address.zip;
        if self.refused_zips.iter().any(|refused| zip.starts_with(refused)) {
            let reason = format!("no carrier delivers to {zip}");
            return refuse(ShippingFailed {
                order_id: order.order_id,
                reason,
            });
        }
        let parcel = EventId::derived("parcel", order.order_id.as_str(), effect.key().as_str());
        done(OrderShipped {
            order_id: order.order_id,
            tracking_id: format!("JS-{parcel}"),
        })
    }
}
