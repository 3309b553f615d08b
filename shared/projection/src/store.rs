use std::sync::Arc;

use engine::{Heard, JournalInfo};

use crate::{
    Database, DatabaseError, Projection,
    apply::{Applied, Read, apply},
    cells::{integer, integer_at, signed, text, text_at, unsigned},
    control,
    database::Tx,
    projection::Declared,
    sql,
};

/// The projections of one database: their tables, and how far each has come. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) database: Database,
    pub(crate) declared: Arc<[Declared]>,
}

/// How far a projection has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The projection.
    pub name: &'static str,
    /// The sequence of the last event that its rows contain, or that it passed by.
    pub sequence: u64,
    /// Which set of its tables is read. It changes with every rebuild.
    pub generation: i64,
    /// Its tables were made by another version of it: nothing is applied to them until it is rebuilt.
    pub outdated: bool,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is there.
    Done,
    /// Somebody else has moved a position or a generation: nothing of it is there.
    Overtaken,
}

const FORMAT: i64 = 1;

impl Store {
    /// Opens a database and makes what is missing in it: empty tables for a projection that it has never seen.
    ///
    /// # Errors
    /// When the database does not answer, was made by a newer Jetsaga, or a projection cannot be declared so.
    pub async fn open(
        database: Database,
        projections: Vec<Box<dyn Projection>>,
    ) -> Result<Self, DatabaseError> {
        let declared = projections
            .into_iter()
            .map(Declared::new)
            .collect::<Result<Vec<_>, _>>()?;
        let store = Self {
            database,
            declared: declared.into(),
        };
        if !store.is_complete().await {
            control::make(&store.database, &store.declared).await?;
        }
        Ok(store)
    }

    /// The database.
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// How far each projection has come, in the order in which they were declared.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn positions(&self) -> Result<Vec<Position>, DatabaseError> {
        let rows = self
            .database
            .read(
                "SELECT name, position, generation, fingerprint FROM projection_positions",
                &[],
            )
            .await?;
        let position = |declared: &Declared| {
            let row = rows.iter().find(|row| text_at(row, 0) == declared.name())?;
            Some(Position {
                name: declared.name(),
                sequence: unsigned(integer_at(row, 1)),
                generation: integer_at(row, 2),
                outdated: text_at(row, 3) != declared.fingerprint,
            })
        };
        Ok(self.declared.iter().filter_map(position).collect())
    }

    /// Ties the database to the journal, or says that it belongs to another one. `positions` were read before `journal`
    /// was, for both move on.
    ///
    /// # Errors
    /// When it was filled from another journal, or knows events that this one does not have.
    pub async fn belongs_to(
        &self,
        journal: &JournalInfo,
        positions: &[Position],
    ) -> Result<(), DatabaseError> {
        let created = journal.created.to_string();
        let query = "SELECT created, format FROM projection_journal";
        let mut rows = self.database.read(query, &[]).await?;
        if rows.is_empty() {
            let insert = "INSERT INTO projection_journal (id, created, format) VALUES (1, $1, $2) \
                          ON CONFLICT (id) DO NOTHING";
            let mut tx = self.database.begin().await?;
            tx.execute(insert, vec![text(&created), integer(FORMAT)]).await?;
            tx.commit().await?;
            rows = self.database.read(query, &[]).await?;
        }
        for row in &rows {
            let found = integer_at(row, 1);
            if found > FORMAT {
                return Err(DatabaseError::Format { found, known: FORMAT });
            }
            if text_at(row, 0) != created {
                return Err(DatabaseError::AnotherJournal {
                    filled_from: text_at(row, 0).to_owned(),
                    found: journal.created,
                });
            }
        }
        match positions.iter().find(|position| position.sequence > journal.last) {
            Some(Position { name, sequence, .. }) => Err(DatabaseError::Beyond {
                projection: (*name).to_owned(),
                position: *sequence,
                last: journal.last,
            }),
            None => Ok(()),
        }
    }

    /// Applies events that were read already, in the order of their sequences, as a runner does: what a projection
    /// contains is passed over. All of it is one transaction; if somebody else moved a position, nothing happens, and
    /// it returns false.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn apply(&self, heard: Vec<Heard>) -> Result<bool, DatabaseError> {
        let positions = self.positions().await?;
        let read: Vec<Read> = heard.into_iter().map(Read::heard).collect();
        let active = self.declared.iter().zip(&positions).filter(|(_, p)| !p.outdated);
        let applied = active
            .map(|(declared, position)| apply(declared, position, &read))
            .collect();
        Ok(self.write(applied).await? == Written::Done)
    }

    /// Writes what was applied: the positions first, each only if it still is what it was, then the rows. All of it is
    /// one transaction.
    pub(crate) async fn write(&self, applied: Vec<Applied>) -> Result<Written, DatabaseError> {
        let mut tx = self.database.begin().await?;
        for one in &applied {
            let moved = "UPDATE projection_positions SET position = $1 \
                         WHERE name = $2 AND position = $3 AND generation = $4";
            let args = vec![
                integer(signed(one.to)),
                text(one.name),
                integer(signed(one.from)),
                integer(one.generation),
            ];
            if tx.execute(moved, args).await? != 1 {
                return Ok(Written::Overtaken);
            }
        }
        for one in applied {
            self.write_rows(&mut tx, one).await?;
        }
        tx.commit().await?;
        Ok(Written::Done)
    }

    /// Writes the rows and the problems of one projection.
    pub(crate) async fn write_rows(&self, tx: &mut Tx, applied: Applied) -> Result<(), DatabaseError> {
        let declared = self.find(applied.name)?;
        sql::write(tx, &declared.tables, applied.generation, applied.batch).await?;
        for problem in applied.problems {
            let insert = "INSERT INTO projection_problems (projection, generation, sequence, subject, reason) \
                          VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
            let args = vec![
                text(applied.name),
                integer(applied.generation),
                integer(signed(problem.sequence)),
                text(&problem.subject),
                text(&problem.reason),
            ];
            tx.execute(insert, args).await?;
        }
        Ok(())
    }

    pub(crate) fn find(&self, name: &str) -> Result<&Declared, DatabaseError> {
        let unknown = || DatabaseError::Unknown {
            name: name.to_owned(),
            known: self
                .declared
                .iter()
                .map(Declared::name)
                .collect::<Vec<_>>()
                .join(", "),
        };
        self.declared
            .iter()
            .find(|d| d.name() == name)
            .ok_or_else(unknown)
    }

    /// True if every projection has its tables: then nothing needs to be locked or made.
    async fn is_complete(&self) -> bool {
        matches!(self.positions().await, Ok(known) if known.len() == self.declared.len())
    }
}
