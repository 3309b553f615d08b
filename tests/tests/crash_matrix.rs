//! A worker dies at every named point on the way of every kind of message, at its first delivery and when it comes again;
//! and every answer is lost once. Whatever happens, every order ends once, and the books balance.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
};

use engine::faults::{Happening, Point};
use futures_util::{StreamExt as _, stream};
use jetsaga::{
    Plan,
    anyhow::{self, Context as _},
};
use jetsaga_tests::{
    harness::{audit, chained},
    matrix::{Blow, IN_STOCK, Place, SHELVES, Scenario, Stage, skus},
};

/// Orders under way at once.
const AT_ONCE: usize = 96;
/// How often each way to go is watched, plainly and with every message dropped once, to learn the places on it.
const WATCHED: usize = 4;
/// How often a case is played until its blow falls: chance decides which of two events is heard first.
const TRIES: usize = 4;
/// Pairs of blows that are drawn by chance.
const PAIRS: usize = 400;
/// The fewest cases in which a blow has to fall.
const LEAST: usize = 1_000;

struct Case {
    scenario: &'static Scenario,
    blows: Vec<Blow>,
    /// The order in which they fell, or the last that was tried.
    order: String,
    struck: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_death_at_any_point_and_no_lost_answer_breaks_a_promise() {
    let seed = env::var("JETSAGA_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}: repeat the pairs with JETSAGA_SEED={seed}");
    let stage = Stage::new().await.unwrap();
    let places = learn(&stage).await.unwrap();
    assert_complete(&places);
    let mut cases = every_place(&places);
    println!(
        "{} places, {} single blows, {PAIRS} pairs",
        places.len(),
        cases.len()
    );
    cases.extend(pairs(&places, seed));
    let played = stream::iter(cases)
        .map(|case| play(&stage, case))
        .buffer_unordered(AT_ONCE);
    let cases: Vec<Case> = played
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    stage.at_rest().await.unwrap();

    print_table(&cases);
    let struck = cases.iter().filter(|case| case.struck).count();
    println!("{struck} of {} cases were struck", cases.len());
    assert!(struck >= LEAST, "only {struck} cases were struck");
    for case in cases.iter().filter(|case| !case.struck && case.blows.len() == 1) {
        println!("not met: {}: {}", case.scenario.name, told(&case.blows));
    }
    check(&stage, &cases).await.unwrap();
}

/// How often a place was met, by the scenario that it was met in.
type Places = BTreeMap<Place, BTreeMap<usize, usize>>;

/// Watches every scenario and returns the places on it.
async fn learn(stage: &Stage) -> anyhow::Result<Places> {
    let mut watched = Vec::new();
    for (n, scenario) in Scenario::ALL.iter().enumerate() {
        for turn in 0..2 * WATCHED {
            let id = stage.id();
            if turn % 2 == 0 {
                stage.board.set(&id, scenario, Vec::new());
            } else {
                stage.board.drop_everything_once(&id, scenario);
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
fn assert_complete(places: &Places) {
    let all: BTreeSet<&Place> = places.keys().collect();
    for point in Point::ALL {
        for is_again in [false, true] {
            let met = all
                .iter()
                .any(|place| place.point == point && place.is_again == is_again);
            assert!(met, "{point:?} was not met (again: {is_again})");
        }
    }
    let plan = Plan::of::<checkout::Checkout>().unwrap();
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
        assert!(met, "{consumer} did not hear {trigger}");
    }
}

/// A crash at every place, and a lost answer wherever one was awaited; each in the scenario that comes by most often.
fn every_place(places: &Places) -> Vec<Case> {
    let mut cases = Vec::new();
    for (place, scenarios) in places {
        if let Some((n, _)) = scenarios.iter().max_by_key(|(_, met)| **met) {
            let blows = blows(place).into_iter();
            cases.extend(blows.map(|blow| case(&Scenario::ALL[*n], vec![blow])));
        }
    }
    cases
}

/// Two blows on one order, by chance.
fn pairs(places: &Places, seed: u64) -> Vec<Case> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut draw = || {
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
    std::iter::repeat_with(|| draw()).flatten().take(PAIRS).collect()
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

/// Plays a case with fresh orders until its blows have fallen.
async fn play(stage: &Stage, mut case: Case) -> anyhow::Result<Case> {
    for _ in 0..TRIES {
        case.order = stage.id();
        stage.board.set(&case.order, case.scenario, case.blows.clone());
        let played = stage.play(case.scenario, &case.order).await;
        played.with_context(|| format!("{}, {}", case.scenario.name, told(&case.blows)))?;
        case.struck = stage.struck(&case.order).await;
        if case.struck {
            break;
        }
    }
    Ok(case)
}

/// Every order that came of it ended once, by one chain; the ledger and the stock agree; and the letters are those that
/// the scenarios are about, one for each.
async fn check(stage: &Stage, cases: &[Case]) -> anyhow::Result<()> {
    let system = &stage.system;
    for case in cases.iter().filter(|case| case.scenario.has_saga) {
        let told = || format!("{}, {}", case.scenario.name, told(&case.blows));
        let history = system.history(&case.order).await?;
        chained(&history).with_context(told)?;
        let last = history.last().with_context(told)?;
        anyhow::ensure!(
            last.state.is_final(),
            "{} is {}: {}",
            case.order,
            last.state.status,
            told()
        );
    }
    let completed = u64::try_from(audit(system, &stage.sagas()).await?)?;
    let mut shipped = [0, 0];
    for shelf in 0..SHELVES {
        for (which, sku) in skus(shelf).iter().enumerate() {
            let product = system.product(sku).await?;
            shipped[which] += product.shipped;
            let sum = product.on_hand + product.shipped;
            anyhow::ensure!((product.reserved, sum) == (0, IN_STOCK), "{sku} is {product:?}");
        }
    }
    anyhow::ensure!(
        shipped == [2 * completed, completed],
        "{shipped:?} shipped for {completed} orders"
    );
    let letters: Vec<String> = system
        .letters
        .list()
        .await?
        .into_iter()
        .map(|letter| letter.subject + &letter.body)
        .collect();
    for case in cases {
        let about = letters
            .iter()
            .filter(|letter| letter.ends_with(&case.order) || letter.contains(&format!("{:?}", case.order)));
        let (found, wanted) = (about.count(), &case.scenario.letters);
        anyhow::ensure!(
            wanted.contains(&found),
            "{found} letters, not {wanted:?}: {}, {}",
            case.scenario.name,
            told(&case.blows)
        );
    }
    Ok(())
}

fn told(blows: &[Blow]) -> String {
    blows
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" and ")
}

fn print_table(cases: &[Case]) {
    let mut table: BTreeMap<Point, [usize; 4]> = BTreeMap::new();
    for blow in cases
        .iter()
        .filter(|case| case.struck)
        .flat_map(|case| &case.blows)
    {
        let row = table.entry(blow.place.point).or_default();
        row[usize::from(blow.place.is_again) + 2 * usize::from(blow.what == Happening::Lost)] += 1;
    }
    println!(
        "{:<18} {:>6} {:>6} {:>6} {:>6}",
        "point", "died", "again", "lost", "again"
    );
    for (point, [died, died_again, lost, lost_again]) in table {
        println!(
            "{:<18} {died:>6} {died_again:>6} {lost:>6} {lost_again:>6}",
            format!("{point:?}")
        );
    }
}
