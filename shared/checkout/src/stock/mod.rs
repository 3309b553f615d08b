//! Stock that is never oversold: the products of an order are set aside all together or not at all, once,
//! by any number of workers that crash, repeat and overtake each other, without a transaction over two entities.
//!
//! Two kinds of entity change only by guarded appends, each under the sequence of its own last event:
//!
//! - a [`Reservation`] (`evt.reservation.<EventType>.<orderId>`) is the *decider* of one order. Its first event
//!   decides: held, refused (a product is short) or forbidden (the step was settled). Only released or shipped
//!   may follow held.
//! - a [`Product`] (`evt.stock.<EventType>.<sku>`) holds three numbers and the list of the operations that they
//!   contain and that their deciders may not have recorded yet.
//!
//! An [`Adjustment`] (`evt.adjustment.<EventType>.<id>`) is the decider of one change from outside: requested,
//! then applied or refused.
//!
//! # The protocol
//!
//! 1. **To do** something (hold, release, ship, adjust): read every product; *then* read the decider from the
//!    leader; if it is decided, follow it. Append one event to each product, in the order of their names,
//!    under the guard read *before* the decider; skip a product that lists the operation. Then the decider
//!    records it.
//! 2. **To refuse or forbid**, the decider says so *first*. Then each product, read from the leader *after*
//!    that: if it lists the operation, one event takes it out; if it does not, one event fences it, so that
//!    the guard of whoever has read an open decider is stale. No fence is needed where the operation does not
//!    fit, nor where anything was appended since that read.
//! 3. **An entry leaves the list** with somebody's next event of that product, after its decider was seen to
//!    have recorded it; if the decider was seen to be against it, its units go back with it. Any read will do,
//!    for decisions are final. Each append asks after two entries of others and adds one.
//! 4. **After a conflict or a doubt**, the entity and then the decider are read again from the leader.
//! 5. **Release and shipment exclude each other** at the first product of the order: whichever is absorbed there
//!    goes on, and the other joins it. So do two requests under one adjustment id: the first one counts.
//!
//! Why a zombie cannot harm: it appends under a guard that it read before it read an open decider. If its
//! operation was absorbed before that read, the entry is still in the list (it leaves only after the decider
//! has recorded it, and then the decider is not open). If it was absorbed or fenced after, the guard is stale.
//!
//! It rests on one promise of the journal: a read from the leader is no older than any append that was
//! acknowledged before the read began. And on one of whoever archives: a decider stays readable as long as a
//! product lists an operation of it, or a trigger of it can still be delivered.
//!
//! # Reading order
//!
//! [`Operation`] is the protocol as a value and [`Next`] what it asks of its driver; [`Ledger`] is how facts
//! fold. The model checker in `tests/stock_model.rs` runs this code through every interleaving.

mod operation;

mod advance;
mod observe;
mod part;
mod step;
mod sweep;

mod adjustment;
mod change;
mod fact;
mod items;
mod product;
mod reservation;

pub use adjustment::{Adjustment, AdjustmentFact, AdjustmentNote, AdjustmentStatus};
pub use change::{Cause, Settled, StockChange};
pub use fact::{Ledger, Named, StockError};
pub use items::{Items, ItemsError};
pub use operation::Operation;
pub use product::{Absorbed, Mark, Move, Product, ProductFact};
pub use reservation::{Reservation, ReservationDecision, ReservationFact, ReservationStatus};
pub use step::{Append, Key, Next, Observed, Outcome, Seen, Source, Write};
