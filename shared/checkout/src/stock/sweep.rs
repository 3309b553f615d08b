use std::collections::BTreeMap;

use super::{
    Absorbed, AdjustmentStatus, Key, Mark, Move, Observed, Product, ReservationStatus, Seen, Settled,
};

/// What was learned of other operations' deciders while passing by.
///
/// A decision is final, so what the leader ever showed of it stays true, and the leader shows it to whoever reads after;
/// what reads as undecided is left alone. What only a replica shows is not enough: who begins the operation anew would
/// find neither the entry nor, at a leader that is behind, the decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Sweep(BTreeMap<Key, Standing>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Standing {
    Undecided,
    Reservation(ReservationStatus),
    Adjustment(AdjustmentStatus),
}

impl Sweep {
    /// Deciders that one append asks after: an append adds one entry, so two make a list shrink as long as
    /// half of it is recorded.
    const DECIDERS: usize = 2;

    /// The next decider to load before an append to `product`, if one is left to ask after. `own` is the
    /// asker's decider. The choice moves through the list with the sequence, so that entries that stay
    /// undecided do not hide those behind them.
    pub(super) fn wanted(&self, product: &Seen<Product>, own: &Key) -> Option<Key> {
        let list = &product.state.in_flight;
        let start = usize::try_from(product.sequence)
            .unwrap_or_default()
            .checked_rem(list.len())?;
        let others = list
            .iter()
            .cycle()
            .skip(start)
            .take(list.len())
            .map(decider)
            .filter(|key| key != own);
        let mut chosen = Vec::with_capacity(Self::DECIDERS);
        for key in others {
            if chosen.len() < Self::DECIDERS && !chosen.contains(&key) {
                chosen.push(key);
            }
        }
        chosen.into_iter().find(|key| !self.0.contains_key(key))
    }

    /// Takes note of what a load of `key` answered.
    pub(super) fn learn(&mut self, key: Key, answer: Observed) {
        let standing = match answer {
            Observed::Reservation(Some(seen)) => Standing::Reservation(seen.state.status),
            Observed::Adjustment(Some(seen)) => Standing::Adjustment(seen.state.status),
            _ => Standing::Undecided,
        };
        self.0.insert(key, standing);
    }

    /// The entries of `product` that may leave its list. Never one of the asker: it does not ask after itself.
    pub(super) fn settled(&self, product: &Product) -> Vec<Settled> {
        let marks = product.in_flight.iter().map(|entry| &entry.mark);
        marks.filter_map(|mark| self.verdict(mark)).collect()
    }

    fn verdict(&self, mark: &Mark) -> Option<Settled> {
        let withdrawn = match (mark.kind, self.0.get(&key(mark))?) {
            (Move::Hold, Standing::Reservation(status)) => {
                matches!(status, ReservationStatus::Refused | ReservationStatus::Forbidden)
            }
            (Move::Release, Standing::Reservation(ReservationStatus::Released))
            | (Move::Ship, Standing::Reservation(ReservationStatus::Shipped))
            | (Move::Adjust, Standing::Adjustment(AdjustmentStatus::Applied)) => false,
            (Move::Adjust, Standing::Adjustment(AdjustmentStatus::Refused)) => true,
            (Move::Hold | Move::Release | Move::Ship | Move::Adjust, _) => return None,
        };
        Some(Settled {
            mark: mark.clone(),
            withdrawn,
        })
    }
}

fn decider(entry: &Absorbed) -> Key {
    key(&entry.mark)
}

fn key(mark: &Mark) -> Key {
    match mark.kind {
        Move::Hold | Move::Release | Move::Ship => Key::Reservation(mark.id.clone()),
        Move::Adjust => Key::Adjustment(mark.id.clone()),
    }
}
