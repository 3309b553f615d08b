use std::time::Duration;

use jetsaga::{ConnectError, ConnectionArgs, Nats, Status, anyhow};
use jetsaga_cli::record::until_rest;
use jetsaga_tests::harness::{PATIENCE, order, until};
use nkeys::KeyPair;

use crate::crew::Crew;

const ORDERS: usize = 60;

/// The payment worker gets another key while orders come in: the file and the server's configuration change, the server
/// reads it anew, and the worker comes back under its new key, the same process.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_under_load_without_a_restart() {
    let crew = Crew::start(Some(&["order", "payment", "inventory", "shipping", "notifier"]))
        .await
        .unwrap();
    crew.until_working().await.unwrap();
    let before: Vec<_> = crew
        .workers
        .iter()
        .map(|(_, worker)| worker.id().unwrap())
        .collect();
    let load = async {
        for n in 0..ORDERS {
            let placed = order(&format!("ORD-{n}")).to_string();
            crew.publish("in.checkout.OrderCreated", &placed).await?;
            tokio::time::sleep(Duration::from_millis(20)).await; // the load is spread over the change
        }
        anyhow::Ok(())
    };
    let (placed, replaced) = tokio::join!(load, replace(&crew));
    placed.unwrap();
    replaced.unwrap();

    for n in 0..ORDERS {
        let id = format!("ORD-{n}");
        // A message that was in work when the connection went comes again after the acknowledgement wait.
        crew.until(&id, "final", jetsaga::State::is_final).await.unwrap();
    }
    crew.until("ORD-59", "completed", |state| state.status == Status::Completed)
        .await
        .unwrap();
    until_rest(&crew.operator, PATIENCE).await.unwrap();
    let books = crew.provider.books().await.unwrap();
    assert_eq!(books.charges - books.refunds, completed(&crew).await.unwrap());
    let now: Vec<_> = crew
        .workers
        .iter()
        .map(|(_, worker)| worker.id().unwrap())
        .collect();
    assert_eq!(now, before, "nobody was restarted");
    let old = ConnectionArgs {
        nats_nkey_file: Some(crew.site.dir().join("old.nk")),
        ..crew.site.connection("payment")
    };
    let refused = Nats::connect_with(&old, "payment").await;
    assert!(
        matches!(refused, Err(ConnectError::Refused { .. })),
        "the old key opens nothing"
    );
    let complaints = crew.stop().await.unwrap();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// Replaces the payment worker's key, and returns once the worker is back under the new one.
async fn replace(crew: &Crew) -> anyhow::Result<()> {
    crew.until("ORD-9", "let in", |_| true).await?;
    let pair = KeyPair::new_user();
    let seed = pair.seed()?;
    std::fs::copy(crew.site.seed("payment"), crew.site.dir().join("old.nk"))?;
    std::fs::write(crew.site.seed("payment"), seed)?;
    let file = crew.site.dir().join("keys").join("nkeys.conf");
    let keys: Vec<String> = std::fs::read_to_string(&file)?
        .lines()
        .map(|line| match line.split_once(':') {
            Some(("PAYMENT_NKEY", _)) => format!("PAYMENT_NKEY: \"{}\"", pair.public_key()),
            _ => line.to_owned(),
        })
        .collect();
    std::fs::write(&file, keys.join("\n"))?;
    crew.site.reload().await?;
    let (_, payment) = crew
        .workers
        .iter()
        .find(|(name, _)| *name == "payment")
        .ok_or_else(|| anyhow::anyhow!("there is a payment worker"))?;
    until("the worker is back", async || {
        let said = payment.said();
        let lost = said.rfind("disconnected");
        let back = lost.and_then(|lost| said[lost..].find("event=connected"));
        Ok(back.map(|_| ()))
    })
    .await
}

/// How many orders are completed.
async fn completed(crew: &Crew) -> anyhow::Result<u64> {
    let mut completed = 0;
    for n in 0..ORDERS {
        let state = crew.until(&format!("ORD-{n}"), "there", |_| true).await?;
        completed += u64::from(state.status == Status::Completed);
    }
    Ok(completed)
}
