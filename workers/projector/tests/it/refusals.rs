//! A database that does not belong to the journal is refused, in words.

use std::process::Command;

use anyhow::{Context as _, Result};
use jetsaga::Topology;

use crate::harness::{Place, Server, Site, on_both};

on_both!(another_journal_is_refused, a_journal_that_lost_its_end_is_refused);

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
