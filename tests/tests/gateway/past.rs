//! `as_of` is the fold of the events up to then, at each of them and between them.

use anyhow::{Context as _, Result, ensure};
use checkout::Checkout;
use jetsaga::{Plan, Recorded, State, Timestamp, saga::evolve};
use jetsaga_tests::harness::{PATIENCE, System, order, order_with};
use reqwest::StatusCode;
use serde_json::to_value;

use crate::front::Front;

#[tokio::test]
async fn an_order_as_of_any_moment_is_the_fold_of_its_events_up_to_then() {
    let (system, _workers) = System::checkout().await.unwrap();
    let front = Front::start(&system).await.unwrap();
    let lost = order_with("LOST", "/shippingAddress/zip", "00000");
    for placed in [order("KEPT"), lost] {
        let answer = front.place(&placed["payload"], None).await.unwrap();
        answer.expect(StatusCode::ACCEPTED).unwrap();
    }
    for (id, least) in [("KEPT", 4), ("LOST", 7)] {
        system.until_final(id).await.unwrap();
        let history = system.history(id).await.unwrap();
        assert!(history.len() >= least, "{id} has {} events", history.len());
        check(&front, id, &history).await.unwrap();
    }
    front.stop().await.unwrap();
}

async fn check(front: &Front, id: &str, history: &[Recorded<State>]) -> Result<()> {
    let folded = fold(history)?;
    let first = history.first().context("no event")?;
    let mut moments = vec![
        (format!("seq:{}", first.sequence - 1), None),
        ("seq:0".to_owned(), None),
    ];
    moments.push(("2020-01-01T00:00:00Z".to_owned(), None));
    for (n, event) in history.iter().enumerate() {
        moments.push((format!("seq:{}", event.sequence), Some(n)));
        let last = history.partition_point(|other| other.stored_at <= event.stored_at) - 1;
        moments.push((event.stored_at.to_string(), Some(last)));
        if let Some(next) = history.get(n + 1) {
            moments.push((format!("seq:{}", next.sequence - 1), Some(n)));
            let half = event.stored_at.after(next.stored_at.since(event.stored_at) / 2);
            let at = history.partition_point(|other| other.stored_at <= half) - 1;
            moments.push((half.to_string(), Some(at)));
        }
    }
    let end = history.len() - 1;
    moments.push((format!("seq:{}", u64::MAX), Some(end)));
    moments.push((jetsaga::now().after(PATIENCE).to_string(), Some(end)));
    for (moment, expected) in moments {
        let answer = front.get(&format!("/v1/orders/{id}?as_of={moment}")).await?;
        let Some(n) = expected else {
            answer.problem(404, "not-found").context(moment)?;
            continue;
        };
        let view = answer.expect(StatusCode::OK).with_context(|| moment.clone())?;
        ensure!(view["state"] == to_value(&folded[n])?, "{id} at {moment}: {view}");
        ensure!(
            view["sequence"] == history[n].sequence,
            "{id} at {moment}: {view}"
        );
        let stored: Timestamp = view["storedAt"].as_str().context("no time")?.parse()?;
        ensure!(stored == history[n].stored_at, "{id} at {moment}: {view}");
    }
    Ok(())
}

/// The state after each event, from the events alone.
fn fold(history: &[Recorded<State>]) -> Result<Vec<State>> {
    let plan = Plan::of::<Checkout>()?;
    let mut states: Vec<State> = Vec::new();
    for event in history {
        let state = evolve(&plan, states.last(), &event.event, &event.state.id, event.guard)?;
        states.push(state);
    }
    Ok(states)
}
