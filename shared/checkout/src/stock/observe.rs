use super::{
    Append, Key, Move, Next, Observed, Operation, Product, Seen, Source,
    operation::{Aim, Decider, Standing},
    part::Part,
};

impl Operation {
    /// Takes note of the answer to what was asked last; anything else is no answer and changes nothing.
    pub(super) fn observe(&mut self, seen: Observed) {
        match (self.choose(), seen) {
            (
                Next::Load {
                    key: Key::Product(sku),
                    from,
                },
                Observed::Product(product),
            ) => {
                let absent = || Seen {
                    state: Product::default(),
                    sequence: 0,
                };
                self.saw_product(&Key::Product(sku), product.unwrap_or_else(absent), from);
            }
            (
                Next::Load {
                    key: key @ (Key::Reservation(_) | Key::Adjustment(_)),
                    from,
                },
                answer @ (Observed::Reservation(_) | Observed::Adjustment(_)),
            ) => {
                if key == self.own() {
                    self.saw_decider(answer, from);
                } else {
                    self.sweep.learn(key, answer);
                }
            }
            (Next::Append(append), Observed::Appended(sequence)) => self.wrote(append, sequence),
            (Next::Append(append), Observed::Conflict | Observed::Unknown) => self.doubt(&append),
            (Next::Load { .. } | Next::Append(_) | Next::Done(_) | Next::Broken(_), _) => {}
        }
    }

    fn saw_product(&mut self, key: &Key, seen: Seen<Product>, from: Source) {
        // Its decider has to be read after it.
        self.fresh = false;
        self.join_what_began(&seen.state);
        let standing = self.standing();
        let id = self.id.clone();
        let Some(part) = self.part(key) else { return };
        part.saw(seen, from);
        if let Standing::Against(kind, _) = standing {
            part.watch(kind, &id);
        }
    }

    /// A release and a shipment exclude each other at the first product of the order: whichever it absorbs
    /// first goes on to the others, and whoever wanted the opposite helps it along.
    fn join_what_began(&mut self, product: &Product) {
        match self.aim {
            Aim::Release if product.lists(Move::Ship, &self.id) => self.aim = Aim::Ship,
            Aim::Ship if product.lists(Move::Release, &self.id) => self.aim = Aim::Release,
            Aim::Reserve | Aim::Settle | Aim::Release | Aim::Ship | Aim::Adjust { .. } => {}
        }
    }

    fn saw_decider(&mut self, answer: Observed, from: Source) {
        self.fresh = from == Source::Leader;
        self.decider = match answer {
            Observed::Reservation(Some(seen)) => {
                if self.parts.is_empty() {
                    self.set_items(seen.state.items.clone());
                }
                Decider::Reservation(seen)
            }
            Observed::Adjustment(Some(seen)) => self.saw_adjustment(seen),
            _ => Decider::Absent,
        };
    }

    fn saw_adjustment(&mut self, seen: Seen<super::Adjustment>) -> Decider {
        if self.parts.is_empty() {
            self.parts = vec![Part::new(&seen.state.sku, seen.state.quantity)];
        }
        Decider::Adjustment(seen)
    }

    fn wrote(&mut self, append: Append, sequence: u64) {
        match append {
            Append::Product(write) => {
                let (Ok(state), Some(part)) = (write.after(), self.part(&Key::Product(write.id))) else {
                    return;
                };
                part.saw(Seen { state, sequence }, Source::Leader);
                part.shut();
            }
            Append::Reservation(write) => {
                if let Ok(state) = write.after() {
                    self.decider = Decider::Reservation(Seen { state, sequence });
                }
            }
            Append::Adjustment(write) => {
                if let Ok(state) = write.after() {
                    self.decider = self.saw_adjustment(Seen { state, sequence });
                }
            }
        }
    }

    /// The append failed, or may have: what it rested on is read again from the leader.
    fn doubt(&mut self, append: &Append) {
        match append {
            Append::Product(write) => {
                if let Some(part) = self.part(&Key::Product(write.id.clone())) {
                    part.forget();
                }
            }
            Append::Reservation(_) | Append::Adjustment(_) => {
                self.decider = Decider::Unread;
                self.fresh = false;
            }
        }
    }

    fn part(&mut self, key: &Key) -> Option<&mut Part> {
        let Key::Product(sku) = key else { return None };
        self.parts.iter_mut().find(|part| part.sku == *sku)
    }
}
