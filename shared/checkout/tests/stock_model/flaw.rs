//! Bugs of a driver or a protocol, switched on one at a time. The operation's own code stays as it is: what it
//! reads or writes is distorted, as a wrong implementation would.

use checkout::stock::{
    Append, Key, Next, Observed, Product, ProductFact, Reservation, ReservationFact, ReservationStatus, Seen,
    Source,
};
use saga::More;

use super::{
    task::{Task, Worker},
    world::World,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// After a refusal or a tombstone, products without the hold are left as they are.
    NoFence,
    /// After a refusal or a tombstone, holds stay where they are.
    NoWithdrawal,
    /// The products are cleaned up first, the decision comes last.
    WithdrawsFirst,
    /// The reservation is read before the products, not after.
    DeciderFirst,
    /// The reservation is read once and believed for ever.
    DeciderOnce,
    /// The reservation is read from a replica.
    StaleDecider,
    /// After a decision, the products are read from a replica.
    StaleCleanUp,
    /// Whether the operation is in the product's list is not looked at.
    ListUnread,
    /// Entries of others are dropped before their decider has recorded them.
    DroppedEarly,
    /// A doubtful append is taken for one that happened.
    UnknownIsSuccess,
    /// A stale guard is taken for "somebody did it for me".
    ConflictIsSuccess,
    /// Appends are not guarded.
    NoGuard,
}

impl Flaw {
    pub const ALL: [Self; 12] = [
        Self::NoFence,
        Self::NoWithdrawal,
        Self::WithdrawsFirst,
        Self::DeciderFirst,
        Self::DeciderOnce,
        Self::StaleDecider,
        Self::StaleCleanUp,
        Self::ListUnread,
        Self::DroppedEarly,
        Self::UnknownIsSuccess,
        Self::ConflictIsSuccess,
        Self::NoGuard,
    ];

    /// Whether states given out under this flaw differ from the journal's.
    pub fn lies(self) -> bool {
        matches!(
            self,
            Self::ListUnread
                | Self::NoGuard
                | Self::ConflictIsSuccess
                | Self::UnknownIsSuccess
                | Self::NoWithdrawal
        )
    }

    /// The answer to an append that is not made.
    pub fn swallow(self, append: &Append) -> Option<Observed> {
        match (self, append) {
            (Self::NoFence, Append::Product(w)) if w.fact == ProductFact::StockFenced => {
                Some(Observed::Appended(w.guard))
            }
            (Self::NoWithdrawal, Append::Product(w)) if w.fact == ProductFact::StockWithdrawn => {
                Some(Observed::Appended(w.guard))
            }
            (Self::WithdrawsFirst, Append::Reservation(w))
                if matches!(
                    w.fact,
                    ReservationFact::ReservationRefused | ReservationFact::ReservationForbidden
                ) =>
            {
                Some(Observed::Appended(1))
            }
            _ => None,
        }
    }

    /// Whether this load may lag although it must not.
    pub fn lags(self, worker: &Worker, key: &Key, from: Source) -> bool {
        match (self, key) {
            (Self::StaleDecider, Key::Reservation(_)) => true,
            (Self::StaleCleanUp, Key::Product(_)) => from == Source::Leader && worker.remembered.is_some(),
            _ => false,
        }
    }

    /// What this load answers instead of the truth.
    pub fn distort(self, worker: &Worker, key: &Key, truth: &Observed) -> Option<Observed> {
        let Next::Load { from, .. } = worker.next else {
            return None;
        };
        match (self, key, truth) {
            (Self::ListUnread, Key::Product(_), Observed::Product(Some(seen))) => {
                let state = Product {
                    in_flight: Vec::new(),
                    ..seen.state.clone()
                };
                let sequence = seen.sequence;
                Some(Observed::Product(Some(Seen { state, sequence })))
            }
            (Self::DroppedEarly, Key::Reservation(_), Observed::Reservation(None))
                if from == Source::Shown =>
            {
                let state = Reservation {
                    status: ReservationStatus::Held,
                    items: serde_json::from_str(r#"{"A":1}"#).unwrap(),
                    short: None,
                    more: More::default(),
                };
                Some(Observed::Reservation(Some(Seen { state, sequence: 1 })))
            }
            (Self::DeciderFirst | Self::DeciderOnce, Key::Reservation(_), _) if from == Source::Leader => {
                worker.remembered.clone()
            }
            _ => None,
        }
    }

    /// What a flawed worker keeps in mind, before it is given `answer`.
    pub fn remember(self, world: &World, task: &Task, worker: &mut Worker, answer: &Observed) {
        match (self, &worker.next, answer) {
            (
                Self::DeciderOnce,
                Next::Load {
                    from: Source::Leader, ..
                },
                Observed::Reservation(_),
            ) => {
                worker.remembered.get_or_insert_with(|| answer.clone());
            }
            (Self::DeciderOnce, Next::Append(Append::Reservation(_)), _) => worker.remembered = None,
            (Self::DeciderFirst, Next::Load { .. }, Observed::Product(_)) => {
                let first = Some(world.read(&task.own).0);
                worker.remembered = worker.remembered.take().or(first);
            }
            (
                Self::DeciderFirst,
                Next::Load {
                    from: Source::Leader, ..
                },
                Observed::Reservation(_),
            ) => {
                worker.remembered = None;
            }
            (Self::StaleCleanUp, Next::Append(Append::Reservation(_)), Observed::Appended(_)) => {
                worker.remembered = Some(answer.clone());
            }
            _ => {}
        }
    }
}
