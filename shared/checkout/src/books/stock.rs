use std::collections::BTreeMap;

use saga::{Plan, Token};

use super::{
    Finds, Invariant, Scope,
    adjustment::Change,
    order::Order,
    path::Leg,
    thread::{Thread, Told},
};
use crate::stock::{Cause, Move, Product, Settled, StockChange};

/// One product: its numbers are added up here from what its events move, whatever states they carry.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) thread: Thread<Product>,
    /// On hand, reserved, shipped.
    numbers: [i64; 3],
    /// A number was below zero; it is said once.
    is_negative: bool,
    /// An event carried other numbers; it is said once.
    is_other: bool,
}

/// The other entities that an event of a product moves.
pub(super) struct Movers<'a> {
    pub(super) orders: &'a mut BTreeMap<Token, Order>,
    pub(super) adjustments: &'a mut BTreeMap<Token, Change>,
}

impl Shelf {
    /// Takes the next event of the product.
    pub(super) fn take(
        &mut self,
        told: &Told<'_>,
        plan: &Plan,
        movers: &mut Movers<'_>,
        finds: &mut Finds<'_>,
    ) {
        self.thread.link(told, finds);
        self.thread.forget();
        self.thread.fold(told, plan, finds);
        let Some(event) = told.event else { return };
        let change: StockChange = match event.payload.read() {
            Ok(change) => change,
            Err(why) => return finds.add(Invariant::I7, format!("the payload of {}: {why}", told.what)),
        };
        let sku = &told.name.id;
        match movers.moved(told.what, sku, &change, finds) {
            Some(moved) => self.add(moved),
            None => finds.add(
                Invariant::I7,
                format!("{} is no event of stock for {:?}", told.what, change.cause),
            ),
        }
        for settled in change.settled.iter().filter(|settled| settled.withdrawn) {
            self.add(movers.withdraw(sku, settled));
        }
        self.compare(told.message.sequence, finds);
    }

    fn add(&mut self, moved: [i64; 3]) {
        for (number, by) in self.numbers.iter_mut().zip(moved) {
            *number += by;
        }
    }

    /// No number is below zero, and the event carries these numbers.
    fn compare(&mut self, at: u64, finds: &mut Finds<'_>) {
        let [on_hand, reserved, shipped] = self.numbers;
        if !self.is_negative && self.numbers.iter().any(|number| *number < 0) {
            self.is_negative = true;
            finds.add(
                Invariant::I6,
                format!(
                    "after event {at} there are {on_hand} on hand, {reserved} reserved, {shipped} shipped"
                ),
            );
        }
        let carried = self.thread.state.as_ref();
        let carried = carried.map(|state| [state.on_hand, state.reserved, state.shipped]);
        let agree = |carried: [u64; 3]| {
            carried
                .iter()
                .zip(self.numbers)
                .all(|(carried, number)| i64::try_from(*carried) == Ok(number))
        };
        if let Some(carried) = carried.filter(|carried| !self.is_other && !agree(*carried)) {
            self.is_other = true;
            finds.add(
                Invariant::I6,
                format!(
                    "event {at} carries {carried:?}, but what was moved adds up to {:?}",
                    self.numbers
                ),
            );
        }
    }

    /// What came in is on hand, reserved or shipped; at rest nothing is reserved.
    pub(super) fn check(&self, entered: i64, scope: Scope, finds: &mut Finds<'_>) {
        let [on_hand, reserved, shipped] = self.numbers;
        if scope.at_rest && reserved != 0 {
            finds.add(Invariant::I6, format!("{reserved} are still reserved"));
        }
        if scope.at_rest && on_hand + reserved + shipped != entered {
            finds.add(
                Invariant::I6,
                format!(
                    "adjustments add up to {entered}, but {on_hand} are on hand, {reserved} reserved, {shipped} shipped"
                ),
            );
        }
    }
}

impl Movers<'_> {
    /// What the event moves between the three numbers; `None` if it is no event of such a cause.
    fn moved(
        &mut self,
        what: &str,
        sku: &Token,
        change: &StockChange,
        finds: &mut Finds<'_>,
    ) -> Option<[i64; 3]> {
        let by = change.quantity;
        let mut once = |number: &mut i64, id: &Token| {
            if *number != 0 {
                finds.add(Invariant::I4, format!("{what} of {id} comes twice"));
            }
            *number += by;
        };
        match &change.cause {
            Cause::OrderId(id) => {
                let order = self.orders.entry(id.clone()).or_default();
                let is_shipped = order.path.shipping == Leg::Done;
                let part = order.parts.entry(sku.clone()).or_default();
                match what {
                    "StockReserved" => once(&mut part.held, id),
                    "StockReleased" => once(&mut part.released, id),
                    "StockShipped" => {
                        once(&mut part.shipped, id);
                        if !is_shipped {
                            finds.add(
                                Invariant::I9,
                                format!("StockShipped of {id}, which is not shipped"),
                            );
                        }
                    }
                    "StockWithdrawn" => part.held -= by,
                    "StockFenced" => {}
                    _ => return None,
                }
            }
            Cause::AdjustmentId(id) => {
                let adjustment = self.adjustments.entry(id.clone()).or_default();
                let absorbed = adjustment.absorbed.entry(sku.clone()).or_default();
                match what {
                    "StockAdjusted" => once(absorbed, id),
                    "StockWithdrawn" => *absorbed -= by,
                    "StockFenced" => {}
                    _ => return None,
                }
            }
        }
        Some(match (what, &change.cause) {
            ("StockReserved", _) => [-by, by, 0],
            ("StockReleased", _) | ("StockWithdrawn", Cause::OrderId(_)) => [by, -by, 0],
            ("StockShipped", _) => [0, -by, by],
            ("StockAdjusted", _) => [by, 0, 0],
            ("StockWithdrawn", Cause::AdjustmentId(_)) => [-by, 0, 0],
            _ => [0, 0, 0],
        })
    }

    /// What goes back when somebody's event takes another's operation out.
    fn withdraw(&mut self, sku: &Token, settled: &Settled) -> [i64; 3] {
        let id = &settled.mark.id;
        match settled.mark.kind {
            Move::Hold | Move::Release | Move::Ship => {
                let part = self.orders.entry(id.clone()).or_default();
                let part = part.parts.entry(sku.clone()).or_default();
                let by = std::mem::take(&mut part.held);
                [by, -by, 0]
            }
            Move::Adjust => {
                let adjustment = self.adjustments.entry(id.clone()).or_default();
                let by = adjustment.absorbed.insert(sku.clone(), 0).unwrap_or(0);
                [-by, 0, 0]
            }
        }
    }
}
