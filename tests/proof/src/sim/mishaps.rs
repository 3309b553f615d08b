use std::{collections::VecDeque, time::Duration};

use engine::faults::{At, Happening, Point};
use saga::Timestamp;

use super::{Dice, Fault, Tally};

/// The faults of one run: when and on whom they strike, and which have.
#[derive(Debug)]
pub struct Mishaps {
    lurking: Vec<Lurking>,
    timed: VecDeque<(Timestamp, Fault)>,
    /// How many of a thousand requests meet each fault, besides.
    storm: u64,
    /// From then on all goes well.
    until: Timestamp,
    /// How many of a thousand reads are answered by a replica that lags.
    lag: u64,
    /// How much longer than usual every message is on its way.
    drag: u32,
    dice: Dice,
    /// What was reached.
    pub tally: Tally,
}

#[derive(Debug)]
struct Lurking {
    fault: Fault,
    from: Timestamp,
    /// How many it lets pass.
    spares: u64,
    point: Option<Point>,
}

impl Mishaps {
    /// Nothing goes wrong, and no replica lags.
    pub fn none(dice: Dice) -> Self {
        Self {
            lurking: Vec::new(),
            timed: VecDeque::new(),
            storm: 0,
            until: Timestamp::EPOCH,
            lag: 0,
            drag: 1,
            dice,
            tally: Tally::default(),
        }
    }

    /// Faults that strike within `span` from `begin`, and in one run of four a storm of them. All is well after `calm`.
    pub fn some(mut dice: Dice, begin: Timestamp, span: Duration, calm: Duration) -> Self {
        let most = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let moment = |dice: &mut Dice| begin.after(dice.millis(0, most));
        let mut lurking = Vec::new();
        for _ in 0..dice.between(7, 16) {
            let fault = *dice.pick(&Fault::LURKING).unwrap_or(&Fault::AckLost);
            let at_point = matches!(
                fault,
                Fault::CrashAtPoint | Fault::LostAtPoint | Fault::PanicAtPoint
            );
            let point = if at_point {
                dice.pick(&Point::ALL).copied()
            } else {
                None
            };
            lurking.push(Lurking {
                fault,
                from: moment(&mut dice),
                spares: dice.below(6),
                point: point.filter(|point| fault != Fault::LostAtPoint || point.has_answer()),
            });
        }
        let mut timed: Vec<(Timestamp, Fault)> = Vec::new();
        for _ in 0..dice.between(1, 4) {
            let fault = *dice.pick(&Fault::TIMED).unwrap_or(&Fault::Crash);
            timed.push((moment(&mut dice), fault));
        }
        timed.sort_unstable();
        let storm = if dice.happens(250) { dice.between(3, 40) } else { 0 };
        Self {
            lurking,
            timed: timed.into(),
            storm,
            until: begin.after(calm),
            lag: 100,
            drag: *dice.pick(&[1, 1, 1, 1, 1, 1, 2, 3, 8, 30]).unwrap_or(&1),
            ..Self::none(dice)
        }
    }

    /// The next fault that comes by itself, and when.
    pub fn next_timed(&mut self) -> Option<(Timestamp, Fault)> {
        self.timed.pop_front()
    }

    /// True if `fault` strikes whoever asks. It is counted then.
    pub fn strikes(&mut self, fault: Fault, now: Timestamp) -> bool {
        let strikes = now < self.until && (self.lurks(fault, now, None) || self.dice.happens(self.storm));
        if strikes {
            self.tally.fault(fault);
        }
        strikes
    }

    /// What happens to a message at a point. The caller sees to the death of the worker.
    pub fn at(&mut self, at: &At, now: Timestamp) -> Happening {
        self.tally.point(at.point, at.is_again);
        if now >= self.until {
            return Happening::Nothing;
        }
        for (fault, happening) in [
            (Fault::CrashAtPoint, Happening::Crash),
            (Fault::LostAtPoint, Happening::Lost),
            (Fault::PanicAtPoint, Happening::Panic),
        ] {
            let possible = fault != Fault::LostAtPoint || at.point.has_answer();
            let storm = possible && self.dice.happens(self.storm / 4);
            if self.lurks(fault, now, Some(at.point)) || storm {
                self.tally.fault(fault);
                return happening;
            }
        }
        Happening::Nothing
    }

    /// How far behind the leader the replica is that answers a read.
    pub fn behind(&mut self, now: Timestamp) -> Duration {
        if now < self.until && self.dice.happens(self.lag) {
            let most = if self.dice.happens(100) { 3000 } else { 80 };
            self.dice.millis(2, most)
        } else {
            Duration::ZERO
        }
    }

    /// How long a message is on its way.
    pub fn way(&mut self, now: Timestamp) -> Duration {
        let drag = if now < self.until { self.drag } else { 1 };
        self.dice.way() * drag
    }

    /// The dice of this run.
    pub const fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    fn lurks(&mut self, fault: Fault, now: Timestamp, point: Option<Point>) -> bool {
        let is_it = |it: &Lurking| {
            it.fault == fault && it.from <= now && it.point.is_none_or(|wanted| Some(wanted) == point)
        };
        let Some(at) = self.lurking.iter().position(is_it) else {
            return false;
        };
        if let Some(it) = self.lurking.get_mut(at)
            && it.spares > 0
        {
            it.spares -= 1;
            return false;
        }
        self.lurking.swap_remove(at);
        true
    }
}
