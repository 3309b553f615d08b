//! The tables that say what the other tables are.

use crate::{
    Database, DatabaseError,
    cells::{integer, text},
    database::Tx,
    projection::Declared,
    sql,
};

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

/// Makes what is missing: these tables, and empty ones for a projection that was never seen.
pub(crate) async fn make(database: &Database, declared: &[Declared]) -> Result<(), DatabaseError> {
    let mut tx = database.begin().await?;
    if database.is_postgres() {
        tx.execute(LOCK, vec![]).await?;
    }
    for statement in CONTROL {
        tx.execute(statement, vec![]).await?;
    }
    for one in declared {
        let known = "SELECT name FROM projection_positions WHERE name = $1";
        if tx.read(known, vec![text(one.name())]).await?.is_empty() {
            make_tables(&mut tx, one, 1).await?;
            show(&mut tx, one, 1).await?;
            let insert = "INSERT INTO projection_positions (name, generation, fingerprint, position) \
                          VALUES ($1, 1, $2, 0)";
            let args = vec![text(one.name()), text(&one.fingerprint)];
            tx.execute(insert, args).await?;
        }
    }
    tx.commit().await
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
