//! A database that does not belong to the journal is refused, in words.

use std::process::Command;

use anyhow::{Context as _, Result};
use fastrand::Rng;
use jetsaga::{EventId, Topology, engine::Heard, serde_json::json};
use projection::{Database, Projection, Rows, Store, Table, Type, rebuild};
use readmodel::Orders;

use crate::harness::{Place, Server, Site, on_both};

on_both!(
    another_journal_is_refused,
    a_journal_that_lost_its_end_is_refused,
    what_the_database_does_not_take_is_a_problem
);

async fn another_journal_is_refused(place: Place) -> Result<()> {
    let mut site = Site::new(place).await?;
    site.orders(5).await?;
    let store = site.store().await?;
    let runner = site.runner().await?;
    site.caught_up(&store).await?;
    runner.stop().await?;

    let mut other = Site::on(Server::start()?, site.place).await?;
    Topology::new(1).ensure(&other.nats).await?;
    other.orders(50).await?;
    let error = other.runner().await?.task.await?.err().context("it is refused")?;
    assert!(
        format!("{error:#}").contains("name another database with DATABASE_URL"),
        "{error:#}"
    );
    let error = projector::status(&other.nats, &other.place.url())
        .await
        .err()
        .context("so is this")?;
    assert!(
        error.to_string().contains("filled from the journal made at"),
        "{error}"
    );
    let process = other.process()?.wait_with_output()?;
    assert_eq!(process.status.code(), Some(1), "and the process says so");
    Ok(())
}

/// A journal that was restored from a copy knows less than the tables do.
async fn a_journal_that_lost_its_end_is_refused(place: Place) -> Result<()> {
    let mut site = Site::new(place).await?;
    site.orders(5).await?;
    let stored = site.server.stop()?;
    let copy = tempfile::TempDir::new()?;
    let copied = Command::new("cp")
        .arg("-a")
        .arg(stored.path().join("jetstream"))
        .arg(copy.path())
        .status()?;
    assert!(copied.success());

    let mut site = Site::on(Server::start_in(stored)?, site.place).await?;
    site.orders(5).await?;
    let store = site.store().await?;
    let runner = site.runner().await?;
    site.caught_up(&store).await?;
    runner.stop().await?;
    drop(site.server.stop()?);

    let site = Site::on(Server::start_in(copy)?, site.place).await?;
    let error = site.runner().await?.task.await?.err().context("it is refused")?;
    assert!(format!("{error:#}").contains("the journal ends at"), "{error:#}");
    Ok(())
}

/// What a database refuses for good stops nobody: the event is a problem, and what comes with it is applied.
async fn what_the_database_does_not_take_is_a_problem(place: Place) -> Result<()> {
    let site = Site::new(place).await?;
    let url = site.place.url();
    let open = async || {
        let projections: Vec<Box<dyn Projection>> = vec![Box::new(Words), Box::new(Orders)];
        Ok::<_, anyhow::Error>(Store::open(Database::open(&url).await?, projections).await?)
    };
    let mut rng = Rng::with_seed(3);
    let endless: String = (0..20_000).map(|_| rng.alphanumeric()).collect();
    let mut long = 0;
    for (number, word) in ["a", "b", "c", &endless, "d", "e"].into_iter().enumerate() {
        let body = json!({
            "eventId": EventId::derived("test", "word", &number.to_string()), "eventType": "WordSaid",
            "timestamp": "2026-11-24T10:00:00Z", "payload": word, "state": {},
        });
        let sequence = site
            .publish(&format!("evt.word.WordSaid.W-{number}"), body.to_string())
            .await?;
        if word.len() > 1 {
            long = sequence;
        }
    }
    let store = open().await?;
    let runner = site.runner_of(open().await?).await?;
    site.caught_up(&store).await?;
    runner.stop().await?;
    for round in 0..2 {
        let problems = store.problems().await?;
        let words = store.picture("words").await?.count("words");
        if site.place.is_sqlite() {
            assert_eq!((words, problems.len()), (6, 0), "it takes everything");
        } else {
            assert_eq!((words, problems.len()), (5, 1), "{problems:?}");
            assert!(
                problems
                    .iter()
                    .all(|p| p.sequence == long && p.reason.contains("index")),
                "{problems:?}"
            );
        }
        if round == 0 {
            rebuild(&store, &site.nats, "words", |_| {}).await?;
        }
    }
    Ok(())
}

/// Every word that was ever said, by itself: PostgreSQL has no index for the longest ones.
struct Words;

impl Projection for Words {
    fn name(&self) -> &'static str {
        "words"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["word"]
    }

    fn tables(&self) -> Vec<Table> {
        vec![Table::new("words").key("word", Type::Text)]
    }

    fn hear(&self, heard: &Heard, rows: &mut Rows<'_>) -> Result<()> {
        rows.row("words", [heard.event.payload.read::<String>()?]).done();
        Ok(())
    }
}
