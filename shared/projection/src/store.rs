use std::sync::Arc;

use engine::{Heard, JournalInfo};

use crate::{
    Database, DatabaseError, Picture, Projection, Type, Value,
    apply::{Applied, Read, apply},
    database::{Arg, Tx},
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

const CONTROL: [&str; 5] = [
    "CREATE TABLE IF NOT EXISTS projection_journal (id BIGINT PRIMARY KEY, created TEXT NOT NULL, format BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS projection_positions (name TEXT PRIMARY KEY, generation BIGINT NOT NULL, \
     fingerprint TEXT NOT NULL, position BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS projection_rebuilds (name TEXT PRIMARY KEY, generation BIGINT NOT NULL, \
     position BIGINT NOT NULL, beat BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS projection_tables (name TEXT PRIMARY KEY, projection TEXT NOT NULL, \
     generation BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS projection_problems (projection TEXT NOT NULL, generation BIGINT NOT NULL, \
     sequence BIGINT NOT NULL, subject TEXT NOT NULL, reason TEXT NOT NULL, \
     PRIMARY KEY (projection, generation, sequence))",
];

/// Several processes may make the tables at once; PostgreSQL does not like that without a lock. The number is any.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7307199767)";

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
        if store.is_complete().await {
            return Ok(store);
        }
        let mut tx = store.database.begin().await?;
        if store.database.is_postgres() {
            tx.execute(LOCK, vec![]).await?;
        }
        for statement in CONTROL {
            tx.execute(statement, vec![]).await?;
        }
        for declared in &*store.declared {
            let known = "SELECT name FROM projection_positions WHERE name = $1";
            if tx.read(known, vec![text(declared.name())]).await?.is_empty() {
                make_tables(&mut tx, declared, 1).await?;
                show(&mut tx, declared, 1).await?;
                let insert = "INSERT INTO projection_positions (name, generation, fingerprint, position) \
                              VALUES ($1, 1, $2, 0)";
                let args = vec![text(declared.name()), text(&declared.fingerprint)];
                tx.execute(insert, args).await?;
            }
        }
        tx.commit().await?;
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

    /// Everything that the tables of a projection hold now.
    ///
    /// # Errors
    /// When there is no such projection, or the database does not answer.
    pub async fn picture(&self, name: &str) -> Result<Picture, DatabaseError> {
        let declared = self.find(name)?;
        let mut picture = Picture::empty(declared.tables.clone());
        for table in &declared.tables {
            for mut row in self.database.read(&sql::all(table), &[]).await? {
                for (column, cell) in table.columns.iter().zip(&mut row) {
                    if let (Type::Bool, Value::Integer(n)) = (column.of, &*cell) {
                        *cell = Value::Bool(*n != 0); // as SQLite keeps it
                    }
                }
                picture.insert(table.name, table.keys().count(), row);
            }
        }
        Ok(picture)
    }

    /// What the projections could not read: projection, sequence, subject and reason, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn problems(&self) -> Result<Vec<Problem>, DatabaseError> {
        let query = "SELECT b.projection, b.sequence, b.subject, b.reason FROM projection_problems b \
                     JOIN projection_positions p ON p.name = b.projection AND p.generation = b.generation \
                     ORDER BY b.sequence, b.projection";
        let problem = |row: &Vec<Value>| Problem {
            projection: text_at(row, 0).to_owned(),
            sequence: unsigned(integer_at(row, 1)),
            subject: text_at(row, 2).to_owned(),
            reason: text_at(row, 3).to_owned(),
        };
        Ok(self
            .database
            .read(query, &[])
            .await?
            .iter()
            .map(problem)
            .collect())
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

/// An event that a projection could not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The projection.
    pub projection: String,
    /// The event's sequence in the journal.
    pub sequence: u64,
    /// Where it was published.
    pub subject: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Makes the tables of one generation.
pub(crate) async fn make_tables(
    tx: &mut Tx,
    declared: &Declared,
    generation: i64,
) -> Result<(), DatabaseError> {
    for table in &declared.tables {
        for statement in sql::create(table, generation) {
            tx.execute(&statement, vec![]).await?;
        }
        let insert = "INSERT INTO projection_tables (name, projection, generation) VALUES ($1, $2, $3)";
        let args = vec![
            text(&sql::physical(table, generation)),
            text(declared.name()),
            integer(generation),
        ];
        tx.execute(insert, args).await?;
    }
    Ok(())
}

/// Has everybody read this generation, from the commit on.
pub(crate) async fn show(tx: &mut Tx, declared: &Declared, generation: i64) -> Result<(), DatabaseError> {
    for table in &declared.tables {
        for statement in sql::show(table, generation) {
            tx.execute(&statement, vec![]).await?;
        }
    }
    Ok(())
}

pub(crate) fn text(text: &str) -> Arg {
    (Type::Text, text.into())
}

pub(crate) const fn integer(number: i64) -> Arg {
    (Type::Integer, Value::Integer(number))
}

pub(crate) fn text_at(row: &[Value], index: usize) -> &str {
    match row.get(index) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

pub(crate) fn integer_at(row: &[Value], index: usize) -> i64 {
    match row.get(index) {
        Some(Value::Integer(number)) => *number,
        _ => 0,
    }
}

/// A sequence as the database keeps it.
pub(crate) fn signed(sequence: u64) -> i64 {
    sequence.try_into().unwrap_or(i64::MAX)
}

/// A sequence back.
pub(crate) fn unsigned(sequence: i64) -> u64 {
    sequence.try_into().unwrap_or(0)
}
