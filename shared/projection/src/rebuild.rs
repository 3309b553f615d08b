use std::time::Duration;

use engine::{Entry, Feed, Nats};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    DatabaseError, Store,
    apply::{Applied, Read, apply},
    cells::{integer, integer_at, signed, text, text_at, unsigned},
    control::{make_tables, show},
    database::Tx,
    projection::Declared,
    runner::{MOST, known},
    store::Position,
};

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The sequence of the last event that the new tables contain.
    pub done: u64,
    /// The journal's last sequence, as far as it is known.
    pub total: u64,
}

/// A rebuild that shows no sign of life for so long is dead.
const SIGN_OF_LIFE: Duration = Duration::from_secs(6);
/// The most events that are applied while nobody else can write.
const FINAL_STRETCH: u64 = 20_000;
/// How long the last of them may take to arrive.
const FINAL_WAIT: Duration = Duration::from_secs(2);

/// Builds the tables of a projection anew from the whole journal, beside those that are read, and swaps them in one
/// transaction once they contain all that the old ones do. Writes to the old ones and reads of them go on meanwhile.
///
/// If it is stopped, or dies, the old tables are what they were; the next rebuild begins anew and removes what this one
/// left. Of two at once the second is refused.
///
/// # Errors
/// When there is no such projection, somebody else rebuilds it, or database or journal fail.
pub async fn rebuild(
    store: &Store,
    nats: &Nats,
    name: &str,
    mut progress: impl FnMut(Progress),
) -> Result<(), DatabaseError> {
    let declared = store.find(name)?;
    let (_, journal) = known(store, nats).await?;
    let mut rebuild = Rebuild {
        store,
        declared,
        position: Position {
            name: declared.name(),
            sequence: 0,
            generation: claim(store, declared).await?,
            outdated: false,
        },
    };
    rebuild.remove_old().await?;
    let mut feed = Feed::open(nats, &[], 0).await?;
    let mut total = journal.last;
    loop {
        let done = rebuild.position.sequence;
        progress(Progress { done, total });
        if done >= journal.last {
            if rebuild.swap(&mut feed).await? {
                break;
            }
            rebuild.position.sequence = done; // what it had applied was rolled back
            feed = Feed::open(nats, &[], done).await?;
        }
        let entries = gather(&mut feed).await;
        total = total.max(entries.last().map_or(0, |last| last.sequence + last.pending));
        rebuild.write(&entries).await?;
    }
    rebuild.remove_old().await
}

/// As many events as fit one transaction, or as there are.
async fn gather(feed: &mut Feed) -> Vec<Entry> {
    let mut entries = feed.batch(MOST).await;
    while entries.len() < MOST && entries.last().is_some_and(|last| last.pending > 0) {
        entries.extend(feed.batch(MOST - entries.len()).await);
    }
    entries
}

/// The number of a new set of tables that is ours alone.
async fn claim(store: &Store, declared: &Declared) -> Result<i64, DatabaseError> {
    let mut seen = None;
    let limit = Instant::now() + SIGN_OF_LIFE;
    loop {
        let mut tx = store.database.begin().await?;
        lock(store, &mut tx, declared.name()).await?;
        let query = "SELECT generation, beat FROM projection_rebuilds WHERE name = $1";
        let other = tx
            .read(query, vec![text(declared.name())])
            .await?
            .into_iter()
            .next();
        let dead = other.is_some() && other == seen && Instant::now() >= limit;
        if other.is_none() || dead {
            return take(tx, declared).await;
        }
        drop(tx);
        if seen.is_some() && seen != other {
            let projection = declared.name().to_owned();
            return Err(DatabaseError::BeingRebuilt { projection });
        }
        seen = other;
        sleep(Duration::from_millis(200)).await;
    }
}

async fn take(mut tx: Tx, declared: &Declared) -> Result<i64, DatabaseError> {
    let name = || text(declared.name());
    let query = "SELECT MAX(generation) FROM (SELECT generation FROM projection_tables WHERE projection = $1 \
                 UNION ALL SELECT generation FROM projection_positions WHERE name = $1) AS known";
    let highest = tx.read(query, vec![name()]).await?;
    let generation = highest.first().map_or(0, |row| integer_at(row, 0)) + 1;
    tx.execute("DELETE FROM projection_rebuilds WHERE name = $1", vec![name()])
        .await?;
    let insert = "INSERT INTO projection_rebuilds (name, generation, position, beat) VALUES ($1, $2, 0, 0)";
    tx.execute(insert, vec![name(), integer(generation)]).await?;
    make_tables(&mut tx, declared, generation).await?;
    tx.commit().await?;
    Ok(generation)
}

/// Nobody else writes this projection, or rebuilds it, until the end of the transaction.
async fn lock(store: &Store, tx: &mut Tx, name: &str) -> Result<Option<Vec<crate::Value>>, DatabaseError> {
    let mut query = "SELECT generation, position FROM projection_positions WHERE name = $1".to_owned();
    if store.database.is_postgres() {
        query += " FOR UPDATE";
    }
    Ok(tx.read(&query, vec![text(name)]).await?.into_iter().next())
}

struct Rebuild<'s> {
    store: &'s Store,
    declared: &'s Declared,
    /// That of the new tables.
    position: Position,
}

impl Rebuild<'_> {
    /// Applies more to the new tables.
    async fn write(&mut self, entries: &[Entry]) -> Result<(), DatabaseError> {
        let applied = self.apply(entries);
        let error = match self.write_alone(applied.clone()).await {
            Err(error) if error.is_refusal() => error,
            written => return written,
        };
        let (front, back) = entries.split_at(entries.len() / 2);
        if front.is_empty() {
            return self.write_alone(applied.refused(entries, &error)).await;
        }
        Box::pin(self.write(front)).await?;
        Box::pin(self.write(back)).await
    }

    async fn write_alone(&mut self, applied: Applied) -> Result<(), DatabaseError> {
        let before = self.position.sequence;
        let mut tx = self.store.database.begin().await?;
        let written = self.write_in(&mut tx, applied).await;
        if written.is_err() {
            self.position.sequence = before;
            return written;
        }
        tx.commit().await
    }

    fn apply(&self, entries: &[Entry]) -> Applied {
        let read: Vec<Read> = entries
            .iter()
            .map(|entry| Read::new(entry, &[self.declared]))
            .collect();
        apply(self.declared, &self.position, &read)
    }

    async fn write_in(&mut self, tx: &mut Tx, applied: Applied) -> Result<(), DatabaseError> {
        let moved = "UPDATE projection_rebuilds SET position = $1, beat = beat + 1 \
                     WHERE name = $2 AND generation = $3 AND position = $4";
        let args = vec![
            integer(signed(applied.to)),
            text(applied.name),
            integer(applied.generation),
            integer(signed(applied.from)),
        ];
        if tx.execute(moved, args).await? != 1 {
            return Err(self.superseded());
        }
        self.position.sequence = applied.to;
        self.store.write_rows(tx, applied).await
    }

    /// Has everybody read the new tables, if they contain all that the old ones do; false if too much is missing yet.
    async fn swap(&mut self, feed: &mut Feed) -> Result<bool, DatabaseError> {
        let name = self.declared.name();
        let mut tx = self.store.database.begin().await?;
        let Some(live) = lock(self.store, &mut tx, name).await? else {
            return Err(self.superseded());
        };
        let (live_generation, live_position) = (integer_at(&live, 0), unsigned(integer_at(&live, 1)));
        if live_position.saturating_sub(self.position.sequence) > FINAL_STRETCH {
            return Ok(false);
        }
        while self.position.sequence < live_position {
            // They are in the journal: the old tables contain them.
            let Ok(entries) = timeout(FINAL_WAIT, feed.batch(MOST)).await else {
                return Ok(false);
            };
            let applied = self.apply(&entries);
            match self.write_in(&mut tx, applied).await {
                Err(error) if error.is_refusal() => return Ok(false), // outside it is written in parts
                written => written?,
            }
        }
        let mine = "DELETE FROM projection_rebuilds WHERE name = $1 AND generation = $2";
        if tx
            .execute(mine, vec![text(name), integer(self.position.generation)])
            .await?
            != 1
        {
            return Err(self.superseded());
        }
        self.hide(&mut tx, live_generation).await?;
        show(&mut tx, self.declared, self.position.generation).await?;
        let update = "UPDATE projection_positions SET generation = $1, fingerprint = $2, position = $3 WHERE name = $4";
        let args = vec![
            integer(self.position.generation),
            text(&self.declared.fingerprint),
            integer(signed(self.position.sequence)),
            text(name),
        ];
        tx.execute(update, args).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes away the names of the old tables: the new declaration may not have all of them.
    async fn hide(&self, tx: &mut Tx, generation: i64) -> Result<(), DatabaseError> {
        let query = "SELECT name FROM projection_tables WHERE projection = $1 AND generation = $2";
        let old = tx
            .read(query, vec![text(self.declared.name()), integer(generation)])
            .await?;
        for row in old {
            if let Some((name, _)) = text_at(&row, 0).rsplit_once("_g") {
                tx.execute(&format!("DROP VIEW IF EXISTS \"{name}\""), vec![])
                    .await?;
            }
        }
        Ok(())
    }

    /// Drops every table of this projection that is neither read nor being built.
    async fn remove_old(&self) -> Result<(), DatabaseError> {
        let name = || text(self.declared.name());
        let mut tx = self.store.database.begin().await?;
        let kept = "(SELECT generation FROM projection_positions WHERE name = $1 \
                    UNION ALL SELECT generation FROM projection_rebuilds WHERE name = $1)";
        let query =
            format!("SELECT name FROM projection_tables WHERE projection = $1 AND generation NOT IN {kept}");
        for row in tx.read(&query, vec![name()]).await? {
            tx.execute(&format!("DROP TABLE IF EXISTS \"{}\"", text_at(&row, 0)), vec![])
                .await?;
        }
        for table in ["projection_tables", "projection_problems"] {
            let delete = format!("DELETE FROM {table} WHERE projection = $1 AND generation NOT IN {kept}");
            tx.execute(&delete, vec![name()]).await?;
        }
        tx.commit().await
    }

    fn superseded(&self) -> DatabaseError {
        DatabaseError::Superseded {
            projection: self.declared.name().to_owned(),
        }
    }
}
