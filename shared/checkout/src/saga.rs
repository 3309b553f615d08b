use saga::{Irreversible, Saga, Step};

use crate::{
    InventoryReleased, InventoryReserved, OrderCreated, OrderShipped, OutOfStock, PaymentFailed,
    PaymentProcessed, PaymentRefunded, ShippingFailed,
};

/// An order from the click to the parcel: charge and reserve at once, ship when both are done, and take it all
/// back when one of them says no.
#[derive(Debug)]
pub struct Checkout;

impl Saga for Checkout {
    const NAME: &'static str = "checkout";
    type Start = OrderCreated;
    type Steps = (Payment, Inventory, Shipping);
    const TIMED_OUT: &'static str = "OrderTimedOut";
    const CANCELLATION_REQUESTED: &'static str = "OrderCancellationRequested";
    const CANCELLED: &'static str = "OrderCancelled";
    const ID_FIELD: &'static str = "orderId";
}

/// Charge the customer; give the money back if the order cannot be fulfilled.
#[derive(Debug)]
pub struct Payment;

impl Step for Payment {
    const NAME: &'static str = "payment";
    type After = OrderCreated;
    type Done = PaymentProcessed;
    type Refused = PaymentFailed;
    type Undone = PaymentRefunded;
}

/// Set every item aside, or none; put them back if the order cannot be fulfilled.
#[derive(Debug)]
pub struct Inventory;

impl Step for Inventory {
    const NAME: &'static str = "inventory";
    type After = OrderCreated;
    type Done = InventoryReserved;
    type Refused = OutOfStock;
    type Undone = InventoryReleased;
}

/// Hand the parcel to the carrier. It cannot be taken back, so it comes last.
#[derive(Debug)]
pub struct Shipping;

impl Step for Shipping {
    const NAME: &'static str = "shipping";
    type After = (OrderCreated, PaymentProcessed, InventoryReserved);
    type Done = OrderShipped;
    type Refused = ShippingFailed;
    type Undone = Irreversible;
}
