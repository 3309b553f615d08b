use saga::StepStatus;

use super::{
    CONSUMERS, Due, EventIx, JournalIx, Model, Move, Next, OWNER, Seed, System, Trigger, What, Worker, Wrong,
    moves::Moves,
};

/// A worker and what it has in hand.
#[derive(Clone, Copy)]
pub(super) struct Hand {
    pub(super) who: usize,
    pub(super) slot: usize,
    pub(super) trigger: Trigger,
}

impl Model {
    /// Every move out of `system`, and where it leads.
    pub fn moves(&self, system: &System) -> Vec<(Move, System)> {
        let mut moves = Moves::default();
        for who in (0..CONSUMERS).filter(|who| !self.config.forget || !self.is_over(system, *who)) {
            self.deliver(system, who, &mut moves);
            for (slot, worker) in system.workers[who].iter().enumerate() {
                let alike = slot > 0 && system.workers[who][slot - 1] == *worker;
                if let (Some(trigger), false) = (worker.trigger(), alike) {
                    self.work(system, Hand { who, slot, trigger }, *worker, &mut moves);
                }
            }
        }
        self.arrive(system, &mut moves);
        moves
            .all
            .into_iter()
            .map(|(m, to)| (m, to.canonical(self)))
            .collect()
    }

    /// One instruction of a busy worker, or its death.
    fn work(&self, system: &System, hand: Hand, worker: Worker, moves: &mut Moves) {
        self.die(system, hand, worker, moves);
        match worker {
            Worker::Idle => {}
            Worker::Acting { call, fresh, .. } => self.act(system, hand, call, fresh, moves),
            Worker::Appending { event, fresh, .. } => self.append(system, hand, event, fresh, moves),
            Worker::Rereading { event, .. } => {
                self.reread(system, hand, event, |next, to| {
                    moves.push(hand.who, Some(hand.trigger), What::Rereads(next), to);
                });
            }
            Worker::Scheduling { .. } => self.schedule(system, hand, moves),
            Worker::Acking { .. } => {
                moves.push(
                    hand.who,
                    Some(hand.trigger),
                    What::Acks,
                    self.acknowledged(*system, hand),
                );
            }
        }
    }

    /// Deliver: an idle worker takes any message that is due, with any state that it may read for it.
    fn deliver(&self, system: &System, who: usize, moves: &mut Moves) {
        let Some(slot) = system.workers[who].iter().position(|w| *w == Worker::Idle) else {
            return;
        };
        for trigger in self.due(system, who) {
            let twice = system.in_hand(who, trigger);
            let Some(mut taken) = (if twice { system.spend() } else { Some(*system) }) else {
                continue;
            };
            if let Trigger::Timer(timer) = trigger {
                taken.timers[timer.index()] = Due::Now;
            }
            let hand = Hand { who, slot, trigger };
            for read in self.readable(system, trigger) {
                let read_length = self.journals.length(read);
                self.decide(taken, hand, read, |next, to| {
                    if next != Next::AckLost {
                        let what = What::Takes {
                            read: read_length,
                            twice,
                            next,
                        };
                        moves.push(who, Some(trigger), what, to);
                    }
                });
            }
        }
    }

    /// Decide on the state `read`. With nothing left to do the worker acknowledges at once; late or in vain is a
    /// fault.
    pub(super) fn decide(
        &self,
        mut system: System,
        hand: Hand,
        read: JournalIx,
        mut then: impl FnMut(Next, System),
    ) {
        let fresh = read == system.head;
        let trigger = hand.trigger;
        let next = self.next(read, hand);
        let worker = match next {
            Next::Call(call) => Worker::Acting { trigger, call, fresh },
            Next::Append(event) => Worker::Appending {
                trigger,
                event,
                fresh,
            },
            _ => return self.finish(system, hand, then),
        };
        system.workers[hand.who][hand.slot] = worker;
        then(next, system);
    }

    /// Acknowledge; late or in vain is a fault.
    pub(super) fn finish(&self, system: System, hand: Hand, mut then: impl FnMut(Next, System)) {
        then(Next::Ack, self.acknowledged(system, hand));
        if let Some(mut slow) = system.spend() {
            slow.workers[hand.who][hand.slot] = Worker::Acking {
                trigger: hand.trigger,
            };
            then(Next::AckLate, slow);
            slow.workers[hand.who][hand.slot] = Worker::Idle;
            then(Next::AckLost, slow);
        }
    }

    fn acknowledged(&self, mut system: System, hand: Hand) -> System {
        system.acknowledge(hand.who, hand.trigger);
        system.workers[hand.who][hand.slot] = Worker::Idle;
        system
    }

    /// Append under the guard, and decide again on the state just written.
    fn append(&self, system: &System, hand: Hand, event: EventIx, fresh: bool, moves: &mut Moves) {
        let trigger = Some(hand.trigger);
        if !fresh {
            return self.conflict(system, hand, event, moves);
        }
        let Some(longer) = self.journals.append(system.head, event) else {
            let refused = system.flag(Some(Wrong::Refused));
            return moves.push(hand.who, trigger, What::Appends(event, Next::Ack), refused);
        };
        let mut landed = *system;
        landed.grow(longer);
        let mut push = |next, to| moves.push(hand.who, trigger, What::Appends(event, next), to);
        if hand.who != OWNER && self.is_seeded(Seed::DecideOnce) {
            self.finish(landed, hand, &mut push);
        } else {
            self.decide(landed, hand, longer, &mut push);
        }
        self.append_badly(system, &landed, hand, event, moves);
    }

    /// The server refuses: somebody was faster.
    fn conflict(&self, system: &System, hand: Hand, event: EventIx, moves: &mut Moves) {
        let mut push = |next, to| moves.push(hand.who, Some(hand.trigger), What::Conflicts(event, next), to);
        if self.is_seeded(Seed::NoGuard) {
            let fork = system.flag(Some(Wrong::Fork));
            moves.push(
                hand.who,
                Some(hand.trigger),
                What::Appends(event, Next::Ack),
                fork,
            );
        } else if self.is_seeded(Seed::DroppedOnConflict) {
            self.finish(*system, hand, push);
        } else {
            let mut refused = *system;
            refused.workers[hand.who][hand.slot] = Worker::Rereading {
                trigger: hand.trigger,
                event,
            };
            push(Next::Reread, refused);
        }
    }

    /// Read from the leader. An outcome is a fact and is appended as long as it is missing; an event of the owner
    /// is a decision and is made anew.
    fn reread(&self, system: &System, hand: Hand, event: EventIx, mut then: impl FnMut(Next, System)) {
        let missing = if hand.who == OWNER {
            self.is_seeded(Seed::OwnerInsists) && !self.journals.holds(system.head).has(event)
        } else {
            let status = self.journals.statuses(system.head)[hand.who];
            let undoes = self.undone(hand.who) == Some(event);
            status
                == if undoes {
                    StepStatus::Done
                } else {
                    StepStatus::Open
                }
        };
        if missing {
            let mut again = *system;
            let trigger = hand.trigger;
            again.workers[hand.who][hand.slot] = Worker::Appending {
                trigger,
                event,
                fresh: true,
            };
            then(Next::Append(event), again);
        } else if hand.who != OWNER && self.is_seeded(Seed::DecideOnce) {
            self.finish(*system, hand, then);
        } else {
            self.decide(*system, hand, system.head, then);
        }
    }
}
