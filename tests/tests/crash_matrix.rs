//! A worker dies at every named point on the way of every kind of message, at its first delivery and when it comes again;
//! and every answer is lost once. Whatever happens, every order ends once, and the books balance.

use std::env;

use futures_util::{StreamExt as _, stream};
use jetsaga::anyhow;
use jetsaga_tests::matrix::{self, AT_ONCE, Case, Stage};

/// Pairs of blows that are drawn by chance.
const PAIRS: usize = 400;
/// The fewest cases in which all blows have to fall.
const LEAST: usize = 1_000;
/// The most cases of one blow that may not: what takes a rare race cannot be had at will.
const MOST_UNMET: f64 = 0.1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_death_at_any_point_and_no_lost_answer_breaks_a_promise() {
    let seed = env::var("JETSAGA_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}: draw the same pairs with JETSAGA_SEED={seed}");
    let stage = Stage::new().await.unwrap();
    let places = matrix::learn(&stage).await.unwrap();
    matrix::complete(&places).unwrap();
    let mut cases = matrix::every_place(&places);
    let singles = cases.len();
    println!("{} places, {singles} single blows, {PAIRS} pairs", places.len());
    cases.extend(matrix::pairs(&places, PAIRS, seed));
    let played = stream::iter(cases)
        .map(|case| matrix::play(&stage, case))
        .buffer_unordered(AT_ONCE);
    let played: Vec<anyhow::Result<Case>> = played.collect().await;
    let cases: Vec<Case> = played.into_iter().collect::<Result<_, _>>().unwrap();
    stage.at_rest().await.unwrap();

    println!("{}", matrix::table(&cases));
    let struck = cases.iter().filter(|case| case.struck).count();
    println!(
        "{struck} of {} cases were struck, and {} orders ended",
        cases.len(),
        stage.sagas().len()
    );
    assert!(struck >= LEAST, "only {struck} cases were struck");
    let unmet: Vec<&Case> = cases
        .iter()
        .filter(|case| !case.struck && case.blows.len() == 1)
        .collect();
    for case in &unmet {
        println!("not met: {}", case.told());
    }
    assert!(
        unmet.len() as f64 <= MOST_UNMET * singles as f64,
        "{} single blows were not met",
        unmet.len()
    );
    matrix::check(&stage, &cases).await.unwrap();
}
