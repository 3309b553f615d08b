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
        // What the last delivery brought may not have reached every replica yet.
        let short = open().find(|part| !part.fits(kind));
        if let Some(part) = short.filter(|part| part.from == Source::Anywhere) {
            return part.load(Source::Leader);
        }
        match (short, open().next()) {
            _ if !self.fresh => self.sweep_or_read(short.is_none().then(open)),
            (Some(part), _) => self.refuse(kind, part),
            (None, Some(part)) => self.touch(part, absorbing(kind), part.quantity),
            (None, None) => self.record(kind, true, None),
        }
    }

    /// The last reads before the appends: deciders of others, if there is something to append to; then the own.
    fn sweep_or_read<'a>(&self, open: Option<impl Iterator<Item = &'a Part>>) -> Next {
        let own = self.own();
        let mut seen = open.into_iter().flatten().filter_map(|part| part.seen.as_ref());
        match seen.find_map(|product| self.sweep.wanted(product, &own)) {
            Some(key) => Next::Load {
                key,
                from: Source::Shown,
            },
            None => self.load_decider(Source::Leader),
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
        let cause = match self.own() {
            Key::Adjustment(id) => Cause::AdjustmentId(id),
            Key::Reservation(id) | Key::Product(id) => Cause::OrderId(id),
        };
        let settled = part.seen.as_ref().map(|seen| self.sweep.settled(&seen.state));
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
                let (sku, quantity) = (state.sku.clone(), state.quantity);
                if absorbed {
                    self.note(AdjustmentFact::AdjustmentApplied, sku, quantity)
                } else {
                    self.note(AdjustmentFact::AdjustmentRefused, sku, quantity)
                }
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
