//! Every state that can be reached, breadth first, so that a counterexample is a shortest one.

use std::{
    collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry},
    time::Instant,
};

use super::{audit, flaw::Flaw, task::Task, world::World};

pub struct Found {
    pub states: usize,
    pub at_rest: usize,
    pub exhausted: bool,
    /// The first violation and the moves that lead to it.
    pub violation: Option<(String, Vec<String>)>,
    /// The event types that were appended, and the outcomes that workers were told.
    pub happened: BTreeSet<&'static str>,
    pub seconds: f64,
}

/// Explores at most `limit` states from `start`.
pub fn explore(start: &World, tasks: &[Task], flaw: Flaw, limit: usize) -> Found {
    let began = Instant::now();
    let first = start.fingerprint(tasks);
    let mut parents = HashMap::from([(first, None)]);
    let mut queue = VecDeque::from([(first, start.clone())]);
    let mut found = Found {
        states: 0,
        at_rest: 0,
        exhausted: true,
        violation: None,
        happened: BTreeSet::new(),
        seconds: 0.0,
    };
    'search: while let Some((fingerprint, world)) = queue.pop_front() {
        found.states += 1;
        if let Err(why) = check(&world, tasks, fingerprint, flaw, &mut found.at_rest) {
            found.violation = Some((why, path(start, tasks, flaw, &parents, fingerprint)));
            break;
        }
        world.happening(&mut found.happened);
        for (what, next) in world.moves(tasks, flaw) {
            match next {
                Ok(next) => {
                    let child = next.fingerprint(tasks);
                    if parents.len() >= limit {
                        found.exhausted = false;
                    } else if let Entry::Vacant(place) = parents.entry(child) {
                        place.insert(Some(fingerprint));
                        queue.push_back((child, next));
                    }
                }
                Err(why) => {
                    let mut moves = path(start, tasks, flaw, &parents, fingerprint);
                    moves.push(world.tell(what, tasks));
                    found.violation = Some((why, moves));
                    break 'search;
                }
            }
        }
    }
    found.seconds = began.elapsed().as_secs_f64();
    found
}

fn check(world: &World, tasks: &[Task], sample: u64, flaw: Flaw, rests: &mut usize) -> Result<(), String> {
    audit::always(world)?;
    if world.at_rest(tasks) {
        *rests += 1;
        audit::at_rest(world, tasks)?;
    }
    // Liveness, on a sample: whoever is left alone comes to the end.
    if flaw == Flaw::None && sample.is_multiple_of(256) {
        alone(world, tasks)
    } else {
        Ok(())
    }
}

/// Runs the workers one after the other, without faults, and looks at what they leave.
fn alone(world: &World, tasks: &[Task]) -> Result<(), String> {
    let mut world = world.clone();
    world.faults.unknowns = 0;
    world.faults.restarts = 0;
    world.faults.stale = false;
    world.delayed.clear();
    for moves in 0.. {
        if world.ended(tasks) {
            return audit::at_rest(&world, tasks);
        }
        if moves > 40 * tasks.len() {
            break;
        }
        world = world
            .moves(tasks, Flaw::None)
            .into_iter()
            .next()
            .ok_or("nobody can move")?
            .1?;
    }
    Err("left alone, the workers do not come to the end".to_owned())
}

type Parents = HashMap<u64, Option<u64>>;

fn path(start: &World, tasks: &[Task], flaw: Flaw, parents: &Parents, end: u64) -> Vec<String> {
    let mut targets = vec![];
    let mut at = end;
    while let Some(parent) = parents[&at] {
        targets.push(at);
        at = parent;
    }
    targets.reverse();
    let mut world = start.clone();
    let mut moves = Vec::new();
    for target in targets {
        let step = world.moves(tasks, flaw).into_iter().find_map(|(what, next)| {
            next.ok()
                .filter(|next| next.fingerprint(tasks) == target)
                .map(|next| (what, next))
        });
        let Some((what, next)) = step else { break };
        moves.push(world.tell(what, tasks));
        world = next;
    }
    moves
}
