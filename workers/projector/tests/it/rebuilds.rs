//! New tables are built beside those that are read.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use anyhow::{Result, bail, ensure};
use jetsaga::engine::Heard;
use projection::{Database, DatabaseError, Projection, Rows, Store, Table, Type, Value, rebuild};
use readmodel::{Orders, projections};
use tokio::sync::mpsc::unbounded_channel;

use crate::harness::{Place, Site, on_both, until};

on_both!(
    readers_see_whole_tables_while_they_are_rebuilt,
    a_rebuild_that_dies_leaves_what_was,
    of_two_rebuilds_one_is_refused_or_waits,
    a_changed_declaration_waits_for_its_rebuild,
);

async fn readers_see_whole_tables_while_they_are_rebuilt(place: Place) -> Result<()> {
    let mut site = Site::new(place).await?;
    site.orders(1_500).await?;
    let store = site.store().await?;
    let runner = site.runner().await?;
    site.caught_up(&store).await?;

    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_on(site.store().await?, done.clone()));
    let (rebuilder, nats) = (site.store().await?, site.nats.clone());
    let rebuilding = tokio::spawn(async move {
        let mut steps = 0;
        for name in ["orders", "customers", "revenue", "stock"] {
            rebuild(&rebuilder, &nats, name, |_| steps += 1).await?;
        }
        Ok::<_, DatabaseError>(steps)
    });
    while !rebuilding.is_finished() {
        site.orders(5).await?;
    }
    ensure!(rebuilding.await?? > 8, "it says how far it is");
    done.store(true, Relaxed);
    ensure!(reader.await?? > 0, "somebody read meanwhile");

    site.orders(5).await?;
    site.caught_up(&store).await?;
    site.check(&store, projections()).await?;
    let generations: Vec<i64> = store.positions().await?.iter().map(|p| p.generation).collect();
    assert_eq!(generations, [2, 2, 2, 2]);
    assert_eq!(
        tables(&store).await?,
        ["customers_g2", "orders_g2", "products_g2", "revenue_g2"]
    );
    runner.stop().await
}

/// Counts the orders until told to stop: there are never less than there were.
async fn read_on(store: Store, done: Arc<AtomicBool>) -> Result<u64> {
    let (mut most, mut reads) = (0, 0);
    while !done.load(Relaxed) {
        let rows = store.database().read("SELECT COUNT(*) FROM orders", &[]).await?;
        let Some([Value::Integer(count)]) = rows.first().map(Vec::as_slice) else {
            bail!("{rows:?} is no count");
        };
        ensure!(*count >= most, "there were {most} orders, and then {count}");
        (most, reads) = (*count, reads + 1);
    }
    ensure!(most >= 1_500, "there were never more than {most}");
    Ok(reads)
}

async fn a_rebuild_that_dies_leaves_what_was(place: Place) -> Result<()> {
    let mut site = Site::new(place).await?;
    site.orders(1_500).await?;
    let store = site.store().await?;
    let runner = site.runner().await?;
    site.caught_up(&store).await?;
    {
        let (told, mut begun) = unbounded_channel();
        let progress = |p: projection::Progress| {
            if p.done > 0 {
                let _ = told.send(()); // only the first one is heard
            }
        };
        let mut rebuilding = pin!(rebuild(&store, &site.nats, "orders", progress));
        tokio::select! {
            biased;
            _ = begun.recv() => {}
            ended = &mut rebuilding => bail!("it ended too soon to be stopped: {ended:?}"),
        }
    }
    site.orders(10).await?;
    site.caught_up(&store).await?;
    site.check(&store, projections()).await?;
    ensure!(
        tables(&store).await?.contains(&"orders_g2".to_owned()),
        "it left something"
    );

    rebuild(&store, &site.nats, "orders", |_| {}).await?;
    site.orders(10).await?;
    site.caught_up(&store).await?;
    site.check(&store, projections()).await?;
    assert_eq!(
        tables(&store).await?,
        ["customers_g1", "orders_g3", "products_g1", "revenue_g1"]
    );
    runner.stop().await
}

async fn of_two_rebuilds_one_is_refused_or_waits(place: Place) -> Result<()> {
    let mut site = Site::new(place).await?;
    site.orders(1_500).await?;
    let (one, two) = (site.store().await?, site.store().await?);
    let (first, second) = tokio::join!(
        rebuild(&one, &site.nats, "orders", |_| {}),
        rebuild(&two, &site.nats, "orders", |_| {}),
    );
    let refused = |r: &Result<(), DatabaseError>| matches!(r, Err(DatabaseError::BeingRebuilt { .. }));
    let good = |r: &Result<(), DatabaseError>| r.is_ok() || refused(r);
    assert!(good(&first) && good(&second), "{first:?} {second:?}");
    assert!(!(refused(&first) && refused(&second)), "one of them has to go on");
    site.check(&one, vec![Box::new(Orders)]).await?;
    assert_eq!(
        one.status(&site.nats)
            .await?
            .iter()
            .filter(|s| s.rebuilt_to.is_some())
            .count(),
        0
    );
    Ok(())
}

async fn a_changed_declaration_waits_for_its_rebuild(place: Place) -> Result<()> {
    let mut site = Site::new(place).await?;
    site.orders(20).await?;
    let url = site.place.url();
    let open = async |version| {
        let projections: Vec<Box<dyn Projection>> = vec![Box::new(Kinds { version }), Box::new(Orders)];
        Ok::<_, anyhow::Error>(Store::open(Database::open(&url).await?, projections).await?)
    };
    let first = open(1).await?;
    let runner = site.runner_of(open(1).await?).await?;
    site.caught_up(&first).await?;
    runner.stop().await?;

    let second = open(2).await?;
    let runner = site.runner_of(open(2).await?).await?;
    site.orders(20).await?;
    site.caught_up(&second).await?;
    let outdated: Vec<bool> = second.positions().await?.iter().map(|p| p.outdated).collect();
    assert_eq!(outdated, [true, false], "the others go on");
    site.check(&second, vec![Box::new(Orders)]).await?;
    let error = DatabaseError::Outdated {
        projection: "kinds".to_owned(),
    }
    .to_string();
    assert!(error.contains("jetsaga projection rebuild kinds"), "{error}");

    rebuild(&second, &site.nats, "kinds", |_| {}).await?;
    site.orders(20).await?;
    until("it goes on by itself", async || {
        let last = site.last().await?;
        let all = second.positions().await?;
        Ok(all
            .iter()
            .all(|p| !p.outdated && p.sequence >= last)
            .then_some(()))
    })
    .await?;
    site.check(&second, vec![Box::new(Kinds { version: 2 }), Box::new(Orders)])
        .await?;
    runner.stop().await
}

/// Every table of the projections that there is, read or not.
async fn tables(store: &Store) -> Result<Vec<String>> {
    let rows = store
        .database()
        .read("SELECT name FROM projection_tables ORDER BY name", &[])
        .await?;
    let name = |row: Vec<Value>| match row.into_iter().next() {
        Some(Value::Text(name)) => Ok(name),
        other => bail!("{other:?} is no name"),
    };
    rows.into_iter().map(name).collect()
}

/// How many events each kind has; its second version has another table as well.
struct Kinds {
    version: u32,
}

impl Projection for Kinds {
    fn name(&self) -> &'static str {
        "kinds"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["checkout", "stock"]
    }

    fn tables(&self) -> Vec<Table> {
        match self.version {
            1 => vec![Table::new("kinds").key("kind", Type::Text).count("events")],
            _ => vec![
                Table::new("kinds_and_types")
                    .key("kind", Type::Text)
                    .key("type", Type::Text)
                    .count("events"),
            ],
        }
    }

    fn hear(&self, heard: &Heard, rows: &mut Rows<'_>) -> Result<()> {
        match self.version {
            1 => rows.row("kinds", [&heard.kind]),
            _ => rows.row("kinds_and_types", [&heard.kind, &heard.event.event_type]),
        }
        .add("events", 1)
        .done();
        Ok(())
    }
}
