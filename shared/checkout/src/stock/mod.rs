//! Stock that is never oversold.
mod adjustment;
mod advance;
mod change;
mod fact;
mod items;
mod observe;
mod operation;
mod part;
mod product;
mod reservation;
mod step;
mod sweep;

pub use adjustment::{Adjustment, AdjustmentFact, AdjustmentNote, AdjustmentStatus};
pub use change::{Cause, Settled, StockChange};
pub use fact::{Ledger, Named, StockError};
pub use items::{Items, ItemsError};
pub use operation::Operation;
pub use product::{Absorbed, Mark, Move, Product, ProductFact};
pub use reservation::{Reservation, ReservationDecision, ReservationFact, ReservationStatus};
pub use step::{Append, Key, Next, Observed, Outcome, Seen, Source, Write};
