//! What clients send by mistake or malice: each is one problem that says what is wrong, and nothing else.

mod bodies;
mod heads;
mod places;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use jetsaga_tests::harness::{Role, System, order, until};
use reqwest::StatusCode;

use crate::{front::Front, raw::exchange};

/// A request that is refused.
pub(super) struct Case {
    name: String,
    bytes: Vec<u8>,
    status: u16,
    code: &'static str,
    /// A header that the answer has, with a part of its value.
    header: Option<(&'static str, &'static str)>,
    /// True if nothing comes after these bytes, though more was said to.
    ends: bool,
}

/// The key of an order that was placed.
const USED: &str = "\"used before\"";

#[tokio::test]
async fn every_bad_request_is_a_problem_and_leaves_nothing_behind() {
    let system = System::bare().await.unwrap();
    let _owner = system.start(Role::Order).await.unwrap();
    let front = Front::start(&system).await.unwrap();
    let placed = front
        .place(&order("USED")["payload"], Some("used before"))
        .await
        .unwrap();
    placed.expect(StatusCode::ACCEPTED).unwrap();
    system.until_idle().await.unwrap();
    let settled = until("the bucket has the order", async || {
        Ok(Some(counts(&system).await?).filter(|counts| counts["KV_STATE"] == 1))
    });
    let before = settled.await.unwrap();

    let mut cases = bodies::cases(&front.keys);
    cases.extend(places::cases(&front.keys));
    cases.extend(heads::cases(&front.keys));
    assert!(cases.len() >= 400, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        if let Err(error) = check(&front, case).await {
            wrong.push(format!("{}: {error:#}", case.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    assert_eq!(counts(&system).await.unwrap(), before, "nothing is stored");
    let text = front.nats.metrics.text();
    assert!(!text.contains("status=\"500\""), "{text}");
    let routes = text
        .lines()
        .filter(|line| line.starts_with("jetsaga_http_requests_total"))
        .count();
    assert!(routes < 120, "{routes} series: the labels are bounded");

    let good = front.place(&order("GOOD")["payload"], None).await.unwrap();
    assert!(good.expect(StatusCode::ACCEPTED).unwrap()["sequence"].is_u64());
    println!("{} bad requests", cases.len());
    front.stop().await.unwrap();
}

async fn check(front: &Front, case: &Case) -> Result<()> {
    let answer = exchange(&front.url, &case.bytes, case.ends).await?;
    answer.problem(case.status, case.code)?;
    if let Some((name, part)) = case.header {
        let found = answer.header(name);
        anyhow::ensure!(found.contains(part), "{name} is {found:?}, without {part}");
    }
    Ok(())
}

/// How many messages each stream holds.
async fn counts(system: &System) -> Result<BTreeMap<&'static str, u64>> {
    let mut counts = BTreeMap::new();
    for name in [
        "EVENTS", "KV_STATE", "KV_KEYS", "INBOX", "SEEN", "TIMERS", "RETRY", "LETTERS", "REQUESTS",
    ] {
        let stream = system.js.get_stream(name).await.context(name)?;
        counts.insert(name, stream.cached_info().state.messages);
    }
    Ok(counts)
}
