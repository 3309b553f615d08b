//! The checkout's read models: orders, customers, stock and revenue, kept as tables by projections, and the queries that
//! ask them.
//!
//! [`projections`] are the rules; [`ReadModel`] asks. No table holds a name, an address or any other personal data: a
//! customer is an id, counts and times.

mod address;

mod customers;
mod orders;
mod placed;
mod products;
mod revenue;

mod day;
mod model;
mod page;
mod query;
mod rows;

use projection::Projection;

pub use address::{ADDRESS, address, address_in, follow_address};
pub use customers::Customers;
pub use day::{Day, DayError};
pub use model::{NotYet, QueryError, ReadModel};
pub use orders::Orders;
pub use page::{Cursor, CursorError, Direction, Page, PageRequest};
pub use products::Products;
pub use query::OrderFilter;
pub use revenue::Revenue;
pub use rows::{CustomerRow, OrderRow, ProductRow, RevenueRow, Status, StatusError, Sum};

/// Every projection of the checkout.
pub fn projections() -> Vec<Box<dyn Projection>> {
    vec![
        Box::new(Orders),
        Box::new(Customers),
        Box::new(Products),
        Box::new(Revenue),
    ]
}
