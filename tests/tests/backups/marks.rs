//! What a plain handler did while a backup was taken.

use jetsaga::{StepStatus, subject::SEEN};
use jetsaga_tests::harness::{Hold, step};

use super::*;

/// An order ships after the journal was taken and before the marks are: the journal of the backup has neither the shipment nor
/// what it moved in the stock, and the mark of the handler that moved it must not pass for its having done so.
#[tokio::test]
async fn what_was_handled_after_the_journal_was_taken_is_handled_again() {
    let system = System::bare().await.unwrap();
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 100).await.unwrap();
    }
    system.provision(&Role::CHECKOUT).await.unwrap();
    let mut running = system
        .start_all(&[Role::Order, Role::Payment, Role::Inventory])
        .await
        .unwrap();
    system.place(&event(0)).await.unwrap();
    system
        .until("ORD-0", "waits to be shipped", |state| {
            step(state, "shipping") == StepStatus::Open
        })
        .await
        .unwrap();

    let hold = Hold::at(&system.url, "$JS.API.STREAM.SNAPSHOT.SEEN")
        .await
        .unwrap();
    let folder = system.dir().join("backup").display().to_string();
    let url = hold.url();
    let meanwhile = async {
        hold.until_held().await?;
        running.push(system.start(Role::Shipping).await?);
        system.until_final("ORD-0").await?;
        system.until_idle().await?;
        hold.let_go();
        anyhow::Ok(())
    };
    let words = ["backup", &folder];
    let (backup, shipped) = tokio::join!(done(&url, &words), meanwhile);
    backup.unwrap();
    shipped.unwrap();
    for worker in running {
        worker.stop().await.unwrap();
    }
    let events = messages(Path::new(&folder), EVENTS).unwrap();
    let later = system.js.get_stream(EVENTS).await.unwrap();
    assert!(
        events < later.cached_info().state.messages,
        "it shipped meanwhile"
    );

    let other = async |dir: &Path| {
        let server = NatsServer::start(dir, 0).await?;
        let url = server.url();
        Ok((server, url))
    };
    let system = system.moved(other).await.unwrap();
    let restored = done(&system.url, &["restore", &folder]).await.unwrap();
    assert!(restored["handledAgain"].as_u64().unwrap() >= 1, "{restored}");
    // Whose an event id is stays known.
    let seen = system.js.get_stream(SEEN).await.unwrap();
    let claim = seen
        .get_last_raw_message_by_subject("seen.checkout-owner.*")
        .await
        .unwrap();
    assert_eq!(claim.payload, "ORD-0");

    let _crew = crew(&system).unwrap();
    system.until_final("ORD-0").await.unwrap();
    system.until_idle().await.unwrap();
    ended_well(&system, &["ORD-0".to_owned()], 0).await.unwrap();
}
