use saga::Token;

use super::{
    Adjustment, AdjustmentStatus, Items, Key, Move, Next, Observed, Outcome, Reservation, ReservationStatus,
    Seen, Source, part::Part, sweep::Sweep,
};

/// One operation on stock, as a value that says what to load and what to append.
///
/// Its driver performs what [`next`](Self::next) says and feeds the answer back, until it is done. It may be
/// dropped after any step, and run anew from nothing, here or elsewhere, once or by several at a time: the
/// outcome under one id is the same for all. Every answer may be late or doubtful; nothing rests on a clock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    pub(super) aim: Aim,
    pub(super) id: Token,
    /// What the order takes; empty until the reservation says so.
    pub(super) items: Items,
    pub(super) decider: Decider,
    /// Whether the decider was read from the leader after every product was read that is still to be touched.
    pub(super) fresh: bool,
    /// In the order of names.
    pub(super) parts: Vec<Part>,
    pub(super) sweep: Sweep,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Aim {
    Reserve,
    Settle,
    Release,
    Ship,
    Adjust { sku: Token, quantity: i64 },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Decider {
    Unread,
    Absent,
    Reservation(Seen<Reservation>),
    Adjustment(Seen<Adjustment>),
}

/// Where an operation stands, as far as its decider says.
pub(super) enum Standing {
    /// The decider has to be read.
    Unread(Source),
    /// The decider has no event, and the operation begins with its first.
    Begin,
    /// Not decided: the products have to absorb this.
    Open(Move),
    /// Decided against: this has to be kept out of the products.
    Against(Move, Outcome),
    /// Nothing is left to do.
    Final(Outcome),
}

impl Operation {
    /// Sets every item of `order` aside, or none. Ends held, refused or forbidden.
    pub fn reserve(order: Token, items: Items) -> Self {
        Self::new(Aim::Reserve, order, items)
    }

    /// Makes the outcome of `order`'s reserve final: held if it is held, else refused or forbidden for ever,
    /// even to a reserve that is under way. `items` are those of the order.
    pub fn settle(order: Token, items: Items) -> Self {
        Self::new(Aim::Settle, order, items)
    }

    /// Puts what `order` holds back on hand. Ends released; or shipped, if a shipment began first.
    pub fn release(order: Token) -> Self {
        Self::new(Aim::Release, order, Items::default())
    }

    /// Moves what `order` holds to shipped. Ends shipped; or released, if a release began first.
    pub fn ship(order: Token) -> Self {
        Self::new(Aim::Ship, order, Items::default())
    }

    /// Changes what is on hand of `sku` by `quantity`, once for each `adjustment` id. Ends adjusted or not
    /// adjusted; the outcome names what the first request under this id asked for.
    pub fn adjust(adjustment: Token, sku: Token, quantity: i64) -> Self {
        Self::new(Aim::Adjust { sku, quantity }, adjustment, Items::default())
    }

    /// The products that it touches, in the order of names; none until they are known. A driver may keep its own
    /// operations on one product apart; nothing rests on it.
    pub fn products(&self) -> impl Iterator<Item = &Token> {
        self.parts.iter().map(|part| &part.sku)
    }

    fn new(aim: Aim, id: Token, items: Items) -> Self {
        let (decider, fresh, sweep) = (Decider::Unread, false, Sweep::default());
        let mut operation = Self {
            aim,
            id,
            items: Items::default(),
            decider,
            fresh,
            parts: Vec::new(),
            sweep,
        };
        operation.set_items(items);
        operation
    }

    pub(super) fn set_items(&mut self, items: Items) {
        let part = |(sku, quantity)| Part::new(sku, i64::from(quantity));
        self.parts = items.iter().map(part).collect();
        self.items = items;
    }

    /// What to do after `seen`, the answer to what was asked last ([`Observed::Nothing`] at first). An answer
    /// to something else is ignored, and the question repeated.
    pub fn next(&mut self, seen: Observed) -> Next {
        self.observe(seen);
        self.choose()
    }

    pub(super) fn choose(&self) -> Next {
        match self.standing() {
            Standing::Unread(from) => self.load_decider(from),
            Standing::Begin => self.begin(),
            Standing::Open(kind) => self.advance(kind),
            Standing::Against(kind, outcome) => self.keep_out(kind, outcome),
            Standing::Final(outcome) => Next::Done(outcome),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        match (&self.aim, &self.decider) {
            (Aim::Reserve, Decider::Unread | Decider::Absent) => Standing::Open(Move::Hold),
            (Aim::Settle | Aim::Adjust { .. }, Decider::Absent) => Standing::Begin,
            (Aim::Release | Aim::Ship, Decider::Unread) => Standing::Unread(Source::Anywhere),
            (Aim::Release | Aim::Ship, Decider::Absent) if self.fresh => Standing::Final(Outcome::Absent),
            (Aim::Reserve | Aim::Settle, Decider::Reservation(seen)) => forward(&seen.state),
            (Aim::Release, Decider::Reservation(seen)) => onward(&seen.state, Move::Release),
            (Aim::Ship, Decider::Reservation(seen)) => onward(&seen.state, Move::Ship),
            (Aim::Adjust { .. }, Decider::Adjustment(seen)) => adjusting(&seen.state),
            // Not read yet, read too far from the leader to be believed, or no answer to this question.
            (_, Decider::Unread | Decider::Absent | Decider::Reservation(_) | Decider::Adjustment(_)) => {
                Standing::Unread(Source::Leader)
            }
        }
    }

    /// The entity that decides this operation.
    pub(super) fn own(&self) -> Key {
        match self.aim {
            Aim::Reserve | Aim::Settle | Aim::Release | Aim::Ship => Key::Reservation(self.id.clone()),
            Aim::Adjust { .. } => Key::Adjustment(self.id.clone()),
        }
    }
}

/// What a reservation means for a reserve or a settle.
fn forward(reservation: &Reservation) -> Standing {
    match reservation.status {
        ReservationStatus::Held | ReservationStatus::Released | ReservationStatus::Shipped => {
            Standing::Final(Outcome::Held)
        }
        ReservationStatus::Refused | ReservationStatus::Forbidden => {
            Standing::Against(Move::Hold, negative(reservation))
        }
    }
}

/// What a reservation means for a release or a shipment.
fn onward(reservation: &Reservation, kind: Move) -> Standing {
    match reservation.status {
        ReservationStatus::Held => Standing::Open(kind),
        ReservationStatus::Released => Standing::Final(Outcome::Released),
        ReservationStatus::Shipped => Standing::Final(Outcome::Shipped),
        ReservationStatus::Refused | ReservationStatus::Forbidden => Standing::Final(negative(reservation)),
    }
}

fn negative(reservation: &Reservation) -> Outcome {
    reservation
        .short
        .clone()
        .map_or(Outcome::Forbidden, |short| Outcome::Refused { short })
}

fn adjusting(
    Adjustment {
        status,
        sku,
        quantity,
        ..
    }: &Adjustment,
) -> Standing {
    let (sku, quantity) = (sku.clone(), *quantity);
    match status {
        AdjustmentStatus::Requested => Standing::Open(Move::Adjust),
        AdjustmentStatus::Applied => Standing::Final(Outcome::Adjusted { sku, quantity }),
        AdjustmentStatus::Refused => Standing::Against(Move::Adjust, Outcome::NotAdjusted { sku, quantity }),
    }
}
