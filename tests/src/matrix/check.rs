use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use engine::faults::{Happening, Point};

use super::{Case, IN_STOCK, SHELVES, Stage, skus};
use crate::harness::{audit_orders, chained};

/// Every order that came of it ended once, by one chain; the ledger and the stock agree; and the letters are those that
/// the scenarios are about, one for each.
///
/// # Errors
/// Names the case and what is wrong with it.
pub async fn check(stage: &Stage, cases: &[Case]) -> Result<()> {
    let system = &stage.system;
    for case in cases.iter().filter(|case| case.scenario.has_saga) {
        let told = || case.told();
        let history = system.history(&case.order).await?;
        chained(&history).with_context(told)?;
        let last = history.last().with_context(told)?;
        ensure!(
            last.state.is_final(),
            "{} is {}: {}",
            case.order,
            last.state.status,
            told()
        );
    }
    let completed = u64::try_from(audit_orders(system, &stage.sagas()).await?)?;
    // The books are right about what was forged; about everything else they have to be silent.
    let report = system.report().await?;
    let forged: BTreeSet<String> = stage.forged().iter().map(|id| format!("checkout.{id}")).collect();
    let mut wrong = report
        .violations
        .iter()
        .filter(|wrong| !forged.contains(&wrong.entity));
    if let Some(wrong) = wrong.next() {
        bail!("{wrong}");
    }
    let mut shipped = [0, 0];
    for shelf in 0..SHELVES {
        for (which, sku) in skus(shelf).iter().enumerate() {
            let product = system.product(sku).await?;
            shipped[which] += product.shipped;
            let sum = product.on_hand + product.shipped;
            ensure!((product.reserved, sum) == (0, IN_STOCK), "{sku} is {product:?}");
        }
    }
    ensure!(
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
        ensure!(
            wanted.contains(&found),
            "{found} letters, not {wanted:?}: {}",
            case.told()
        );
    }
    Ok(())
}

/// How often a worker died at each point, and how often an answer was lost there; on first deliveries and on those that
/// came again.
pub fn table(cases: &[Case]) -> String {
    let mut rows: BTreeMap<Point, [usize; 4]> = BTreeMap::new();
    for blow in cases
        .iter()
        .filter(|case| case.struck)
        .flat_map(|case| &case.blows)
    {
        let row = rows.entry(blow.place.point).or_default();
        row[usize::from(blow.place.is_again) + 2 * usize::from(blow.what == Happening::Lost)] += 1;
    }
    let head = format!("{:<18}   died  again   lost  again", "point");
    let rows = rows
        .into_iter()
        .map(|(point, [died, died_again, lost, lost_again])| {
            let name = format!("{point:?}");
            format!("{name:<18} {died:>6} {died_again:>6} {lost:>6} {lost_again:>6}")
        });
    std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
}
