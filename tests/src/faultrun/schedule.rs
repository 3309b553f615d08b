use std::time::Duration;

use super::{
    kind::{Kind, Lane},
    target::Target,
};

/// What a schedule is made of.
#[derive(Clone, Debug)]
pub struct Outline {
    /// What chance starts from.
    pub seed: u64,
    /// Nothing goes wrong for so long at first.
    pub quiet: Duration,
    /// The whole run, the quiet time included. Every fault is healed by then.
    pub length: Duration,
    /// The mean time between the beginnings of two faults.
    pub every: Duration,
    /// What may go wrong.
    pub kinds: Vec<Kind>,
}

/// One fault, with everything about it that is left to chance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it is done, after the beginning of the run.
    pub at: Duration,
    /// How long it lasts before it is healed.
    pub lasts: Duration,
    /// What is done.
    pub kind: Kind,
    /// To what.
    pub target: Target,
    /// Any other choice is drawn from this.
    pub dice: u64,
}

/// How often a place is sought for a fault before it is left out.
const DRAWS: usize = 300;

/// The faults of a run, in the order of their beginnings: a pure function of the outline.
///
/// Every kind of the outline comes at least once if the time allows; no two faults that would spoil each other
/// overlap, and never are two nats-servers down at once. The burst of poison has its time for itself, so that what
/// healthy orders wait during it is nobody else's doing.
pub fn schedule(outline: &Outline) -> Vec<Fault> {
    let mut board = Board {
        outline,
        chance: fastrand::Rng::with_seed(outline.seed),
        faults: Vec::new(),
    };
    let mut once = outline.kinds.clone();
    once.sort_by_key(|kind| std::cmp::Reverse(kind.lasts().1));
    if let Some(burst) = once.iter().position(|kind| *kind == Kind::PoisonBurst) {
        board.put(once.remove(burst), outline.quiet);
    }
    for kind in once {
        board.place(kind);
    }
    let time = outline.length.saturating_sub(outline.quiet);
    let wanted = usize::try_from(time.as_millis() / outline.every.as_millis().max(1)).unwrap_or(usize::MAX);
    for _ in board.faults.len()..wanted {
        if let Some(kind) = board.draw() {
            board.place(kind);
        }
    }
    board.faults.sort_by_key(|fault| fault.at);
    board.faults
}

struct Board<'a> {
    outline: &'a Outline,
    chance: fastrand::Rng,
    faults: Vec<Fault>,
}

impl Board<'_> {
    /// A kind by its weight; `None` if all that may come comes once.
    fn draw(&mut self) -> Option<Kind> {
        let kinds = &self.outline.kinds;
        let sum: u32 = kinds.iter().map(|kind| kind.weight()).sum();
        let mut roll = self.chance.u32(0..sum.max(1));
        kinds.iter().copied().find(|kind| {
            let found = roll < kind.weight();
            roll = roll.saturating_sub(kind.weight());
            found
        })
    }

    /// Puts a fault wherever there is room for it, or leaves it out.
    fn place(&mut self, kind: Kind) {
        let (quiet, length) = (self.outline.quiet, self.outline.length);
        let last = length.saturating_sub(Duration::from_millis(kind.lasts().1) + kind.rests());
        // A replay hears all that was until then, and has to be through by the end.
        let last = if kind == Kind::Replay {
            last.min(quiet + (length - quiet) / 2)
        } else {
            last
        };
        if last <= quiet {
            return;
        }
        for _ in 0..DRAWS {
            let at = self.chance.u64(millis(quiet)..millis(last));
            if self.put(kind, Duration::from_millis(at)) {
                return;
            }
        }
    }

    /// Puts a fault there, if nothing is in its way.
    fn put(&mut self, kind: Kind, at: Duration) -> bool {
        let (least, most) = kind.lasts();
        let fault = Fault {
            at,
            lasts: Duration::from_millis(self.chance.u64(least..=most)),
            kind,
            target: Target::draw(kind, &mut self.chance),
            dice: self.chance.u64(..),
        };
        let fits = self.faults.iter().all(|other| !fault.spoils(other));
        if fits {
            self.faults.push(fault);
        }
        fits
    }
}

impl Fault {
    fn lanes(&self) -> Vec<Lane> {
        self.target.lanes(self.kind)
    }

    /// True if both would have the same thing at the same time. What has everything for itself shares no time at all.
    fn spoils(&self, other: &Self) -> bool {
        let ends = |fault: &Self| fault.at + fault.lasts + fault.kind.rests();
        let overlap = self.at < ends(other) && other.at < ends(self);
        let alone = [self, other].iter().any(|f| f.lanes().contains(&Lane::All));
        let shared = self
            .lanes()
            .iter()
            .any(|mine| other.lanes().iter().any(|theirs| mine.collides(*theirs)));
        overlap && (alone || shared)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    fn three_minutes(seed: u64) -> Outline {
        Outline {
            seed,
            quiet: Duration::from_secs(30),
            length: Duration::from_secs(180),
            every: Duration::from_millis(1900),
            kinds: Kind::value_variants().to_vec(),
        }
    }

    #[test]
    fn three_minutes_have_sixty_faults_and_every_kind() {
        for seed in 0..200 {
            let outline = three_minutes(seed);
            let faults = schedule(&outline);
            assert!(faults.len() >= 60, "seed {seed}: {}", faults.len());
            for kind in &outline.kinds {
                assert!(faults.iter().any(|f| f.kind == *kind), "seed {seed}: no {kind}");
            }
        }
    }

    #[test]
    fn the_same_seed_breaks_the_same_and_another_one_something_else() {
        assert_eq!(schedule(&three_minutes(7)), schedule(&three_minutes(7)));
        assert_ne!(schedule(&three_minutes(7)), schedule(&three_minutes(8)));
    }

    #[test]
    fn never_are_two_nodes_down_and_everything_heals_in_time() {
        for seed in 0..200 {
            let outline = three_minutes(seed);
            let faults = schedule(&outline);
            assert!(
                faults
                    .iter()
                    .all(|f| f.at >= outline.quiet && f.at + f.lasts <= outline.length)
            );
            let mut until = Duration::ZERO;
            for fault in faults.iter().filter(|f| f.lanes().contains(&Lane::Nodes)) {
                assert!(
                    fault.at >= until,
                    "seed {seed}: {fault:?} begins before {until:?}"
                );
                until = fault.at + fault.lasts + fault.kind.rests();
            }
        }
    }

    #[test]
    fn the_burst_of_poison_is_alone() {
        let faults = schedule(&three_minutes(7));
        let burst = faults.iter().find(|f| f.kind == Kind::PoisonBurst).unwrap();
        let beside = faults.iter().filter(|f| {
            f.kind != Kind::PoisonBurst && f.at < burst.at + burst.lasts && burst.at < f.at + f.lasts
        });
        assert_eq!(beside.count(), 0);
    }

    #[test]
    fn a_short_run_keeps_to_its_kinds() {
        let outline = Outline {
            quiet: Duration::ZERO,
            length: Duration::from_secs(30),
            kinds: vec![Kind::WorkerKilled, Kind::RollingRestart],
            ..three_minutes(1)
        };
        let faults = schedule(&outline);
        assert!(faults.len() >= 10 && faults.iter().all(|f| outline.kinds.contains(&f.kind)));
    }
}
