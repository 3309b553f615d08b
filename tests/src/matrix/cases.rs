use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use anyhow::{Context as _, Result, ensure};
use engine::faults::{Happening, Point};
use futures_util::{StreamExt as _, stream};
use jetsaga::Plan;

use super::{Blow, Place, Scenario, Stage};

/// Orders under way at once.
pub const AT_ONCE: usize = 96;
/// How often each way to go is watched, plainly and with every message dropped once, to learn the places on it.
const WATCHED: usize = 4;
/// How often a case is played until its blow falls: chance decides which of two events is heard first.
const TRIES: usize = 6;

/// An order to play, and what happens to it.
#[derive(Debug)]
pub struct Case {
    /// The way that it goes.
    pub scenario: &'static Scenario,
    /// What happens on it.
    pub blows: Vec<Blow>,
    /// The order on which it happened, or the last that was tried.
    pub order: String,
    /// True if all of it happened.
    pub struck: bool,
}

impl Case {
    /// The case in words.
    pub fn told(&self) -> String {
        let blows: Vec<String> = self.blows.iter().map(ToString::to_string).collect();
        format!("{}: {}", self.scenario.name, blows.join(" and "))
    }
}

/// How often a place was met, by the scenario that it was met in.
pub type Places = BTreeMap<Place, BTreeMap<usize, usize>>;

/// Watches every scenario and returns the places on it.
///
/// # Errors
/// When an order does not end.
pub async fn learn(stage: &Stage) -> Result<Places> {
    let mut watched = Vec::new();
    for (n, scenario) in Scenario::ALL.iter().enumerate() {
        for turn in 0..2 * WATCHED {
            let id = stage.id();
            if turn % 2 == 0 {
                stage.board.set(&id, scenario, Vec::new());
            } else {
                stage.board.drop_everything_once(&id, scenario, Vec::new());
            }
            watched.push((n, id));
        }
    }
    let played = stream::iter(&watched).map(|(n, id)| stage.play(&Scenario::ALL[*n], id));
    for played in played.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        played?;
    }
    stage.at_rest().await?;
    let mut places = Places::new();
    for (n, id) in watched {
        for place in stage.board.met(&id) {
            *places.entry(place).or_default().entry(n).or_default() += 1;
        }
    }
    Ok(places)
}

/// Every point was met by a first delivery and by one that came again, and every consumer heard all that it can hear.
///
/// # Errors
/// Names the point or the message that was not met.
pub fn complete(places: &Places) -> Result<()> {
    let all: BTreeSet<&Place> = places.keys().collect();
    for point in Point::ALL {
        for is_again in [false, true] {
            let met = all
                .iter()
                .any(|place| place.point == point && place.is_again == is_again);
            ensure!(met, "{point:?} was not met (again: {is_again})");
        }
    }
    let plan = Plan::of::<checkout::Checkout>()?;
    let mut heard: Vec<(String, String)> = Vec::new();
    for (ix, step) in plan.steps() {
        let consumer = format!("checkout-{}", step.name);
        heard.extend(
            plan.triggers(ix)
                .iter()
                .map(|event| (consumer.clone(), event.to_string())),
        );
    }
    let owner = plan.owner_triggers().into_iter().map(|event| event.to_string());
    let owner = owner.chain(
        [
            "inbox OrderCreated",
            "inbox OrderCancellationRequested",
            "deadline",
        ]
        .map(str::to_owned),
    );
    heard.extend(owner.map(|trigger| ("checkout-owner".to_owned(), trigger)));
    for (consumer, trigger) in heard {
        let met = all
            .iter()
            .any(|place| place.consumer == consumer && place.trigger == trigger);
        ensure!(met, "{consumer} did not hear {trigger}");
    }
    Ok(())
}

/// A crash at every place, and a lost answer wherever one was awaited; each in the scenario that comes by most often.
pub fn every_place(places: &Places) -> Vec<Case> {
    let mut cases = Vec::new();
    for (place, scenarios) in places {
        // Of those that come by as often the plainest, which come first.
        if let Some((n, _)) = scenarios.iter().max_by_key(|(n, met)| (**met, Reverse(**n))) {
            let blows = blows(place).into_iter();
            cases.extend(blows.map(|blow| case(&Scenario::ALL[*n], vec![blow])));
        }
    }
    cases
}

/// Two blows on one order, by chance.
pub fn pairs(places: &Places, count: usize, seed: u64) -> Vec<Case> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let draw = || {
        let n = chance.usize(..Scenario::ALL.len());
        let often = |place: &&Place| places[*place].get(&n).is_some_and(|met| *met >= WATCHED);
        let places: Vec<&Place> = places.keys().filter(often).collect();
        let mut blow = || {
            let blows = blows(chance.choice(&places)?);
            chance.choice(blows)
        };
        Some(vec![blow()?, blow()?])
            .filter(|pair| can_both_fall(pair))
            .map(|pair| case(&Scenario::ALL[n], pair))
    };
    std::iter::repeat_with(draw).flatten().take(count).collect()
}

/// Two blows on one message are the first on its delivery, and the second when it comes again.
fn can_both_fall(pair: &[Blow]) -> bool {
    let (first, second) = (&pair[0].place, &pair[1].place);
    let same = (&first.consumer, &first.trigger) == (&second.consumer, &second.trigger);
    !same || (!first.is_again && second.is_again)
}

fn blows(place: &Place) -> Vec<Blow> {
    let blow = |what| Blow {
        place: place.clone(),
        what,
    };
    let mut blows = vec![blow(Happening::Crash)];
    if place.point.has_answer() {
        blows.push(blow(Happening::Lost));
    }
    blows
}

const fn case(scenario: &'static Scenario, blows: Vec<Blow>) -> Case {
    Case {
        scenario,
        blows,
        order: String::new(),
        struck: false,
    }
}

/// Plays a case with fresh orders until its blows have fallen: as places are learned, by turns plainly and with every
/// message dropped once, for some are only met where all messages come again together.
///
/// # Errors
/// When an order does not end.
pub async fn play(stage: &Stage, mut case: Case) -> Result<Case> {
    for turn in 0..TRIES {
        case.order = stage.id();
        let (order, blows) = (&case.order, case.blows.clone());
        if turn % 2 == 0 {
            stage.board.set(order, case.scenario, blows);
        } else {
            stage.board.drop_everything_once(order, case.scenario, blows);
        }
        let played = stage.play(case.scenario, &case.order).await;
        played.with_context(|| case.told())?;
        case.struck = stage.struck(&case.order).await;
        if case.struck {
            break;
        }
    }
    Ok(case)
}
