use saga::Token;

use super::{
    AdjustmentFact, AdjustmentNote, Append, Cause, Key, Move, Next, Operation, Outcome, ProductFact,
    ReservationDecision, ReservationFact, Seen, Source, StockError, Write,
    operation::{Aim, Decider},
    part::Part,
};

impl Operation {
    /// Every product read, then the decider from the leader; then one append to each product, under the guard
    /// read before the decider; then the decider records that all of them are done.
    pub(super) fn advance(&self, kind: Move) -> Next {
        let open = || self.parts.iter().filter(|part| !part.lists(kind, &self.id));
        if let Some(part) = open().find(|part| part.seen.is_none()) {
            return part.load(part.from);
        }
        let own = self.own();
        if let Some(key) = open().find_map(|part| self.sweep.wanted(part.seen.as_ref()?, &own)) {
            return Next::Load {
                key,
                from: Source::Anywhere,
            };
        }
        if !self.fresh {
            return self.load_decider(Source::Leader);
        }
        match (open().find(|part| !part.fits(kind)), open().next()) {
            (Some(short), _) if short.from == Source::Leader => self.refuse(kind, short),
            (Some(short), _) => short.load(Source::Leader),
            (None, Some(part)) => self.touch(part, absorbing(kind), part.quantity),
            (None, None) => self.record(kind, true, None),
        }
    }

    /// The decision stands; now every product takes the move out again, or is known never to take it in.
    pub(super) fn keep_out(&self, kind: Move, outcome: Outcome) -> Next {
        match self.parts.iter().find(|part| !part.is_shut()) {
            None => Next::Done(outcome),
            Some(part) => match part.keep_out(kind, &self.id) {
                Some((fact, quantity)) => self.touch(part, fact, quantity),
                None => part.load(Source::Leader),
            },
        }
    }

    fn refuse(&self, kind: Move, short: &Part) -> Next {
        match kind {
            Move::Hold | Move::Adjust => self.record(kind, false, Some(short.sku.clone())),
            Move::Release | Move::Ship => Next::Broken(StockError::Short(short.quantity)),
        }
    }

    fn touch(&self, part: &Part, fact: ProductFact, quantity: i64) -> Next {
        let own = self.own();
        let cause = match &own {
            Key::Adjustment(id) => Cause::AdjustmentId(id.clone()),
            Key::Reservation(id) | Key::Product(id) => Cause::OrderId(id.clone()),
        };
        let settled = part
            .seen
            .as_ref()
            .map(|seen| self.sweep.settled(&seen.state, &own));
        part.write(fact, cause, quantity, settled.unwrap_or_default())
    }

    /// The decider's first event, for those who do not begin with the products.
    pub(super) fn begin(&self) -> Next {
        match &self.aim {
            Aim::Adjust { sku, quantity } => {
                self.note(AdjustmentFact::AdjustmentRequested, sku.clone(), *quantity)
            }
            Aim::Reserve | Aim::Settle | Aim::Release | Aim::Ship => {
                self.decide(ReservationFact::ReservationForbidden, None)
            }
        }
    }

    /// The decider's word on `kind`: every product has absorbed it, or it is refused.
    fn record(&self, kind: Move, absorbed: bool, short: Option<Token>) -> Next {
        match (kind, absorbed, &self.decider) {
            (Move::Hold, true, _) => self.decide(ReservationFact::ReservationHeld, None),
            (Move::Hold, false, _) => self.decide(ReservationFact::ReservationRefused, short),
            (Move::Release, ..) => self.decide(ReservationFact::ReservationReleased, None),
            (Move::Ship, ..) => self.decide(ReservationFact::ReservationShipped, None),
            (Move::Adjust, absorbed, Decider::Adjustment(Seen { state, .. })) => {
                let refused = AdjustmentFact::AdjustmentRefused;
                let fact = if absorbed {
                    AdjustmentFact::AdjustmentApplied
                } else {
                    refused
                };
                self.note(fact, state.sku.clone(), state.quantity)
            }
            (Move::Adjust, ..) => self.load_decider(Source::Leader),
        }
    }

    fn decide(&self, fact: ReservationFact, short: Option<Token>) -> Next {
        let (guard, before) = match &self.decider {
            Decider::Reservation(seen) => (seen.sequence, Some(seen.state.clone())),
            Decider::Unread | Decider::Absent | Decider::Adjustment(_) => (0, None),
        };
        let (id, items) = (self.id.clone(), self.items.clone());
        let payload = ReservationDecision {
            order_id: id.clone(),
            items,
            short,
        };
        Next::Append(Append::Reservation(Write {
            id,
            guard,
            before,
            fact,
            payload,
        }))
    }

    fn note(&self, fact: AdjustmentFact, sku: Token, quantity: i64) -> Next {
        let (guard, before) = match &self.decider {
            Decider::Adjustment(seen) => (seen.sequence, Some(seen.state.clone())),
            Decider::Unread | Decider::Absent | Decider::Reservation(_) => (0, None),
        };
        let id = self.id.clone();
        let payload = AdjustmentNote {
            adjustment_id: id.clone(),
            sku,
            quantity,
        };
        Next::Append(Append::Adjustment(Write {
            id,
            guard,
            before,
            fact,
            payload,
        }))
    }

    pub(super) fn load_decider(&self, from: Source) -> Next {
        Next::Load {
            key: self.own(),
            from,
        }
    }
}

const fn absorbing(kind: Move) -> ProductFact {
    match kind {
        Move::Hold => ProductFact::StockReserved,
        Move::Release => ProductFact::StockReleased,
        Move::Ship => ProductFact::StockShipped,
        Move::Adjust => ProductFact::StockAdjusted,
    }
}
