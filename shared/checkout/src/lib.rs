//! The checkout, an example of a whole domain: its facts, its saga and its rules. Pure: no clock, no network.
//!
//! [`Checkout`] is the saga; [`OrderCreated`] and its neighbours are the facts; [`order::accept`] is the rule
//! at the door; [`Money`] is how amounts are kept; [`stock`] is the protocol that never oversells; [`books`] are the
//! checks of a whole run.

pub mod books;
mod events;
mod money;
pub mod order;
mod saga;
pub mod stock;

#[cfg(feature = "schema")]
pub use events::payload_schema;
pub use events::{
    Address, InventoryReleased, InventoryReserved, Item, OrderCancelled, OrderCreated, OrderShipped,
    OutOfStock, PaymentFailed, PaymentProcessed, PaymentRefunded, ShippingFailed, check_payload,
};
pub use money::{Money, MoneyError};
pub use saga::{Checkout, Inventory, Payment, Shipping};
