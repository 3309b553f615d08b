use std::{str::FromStr as _, time::Duration};

use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, PgPool, Postgres, Row as _, Sqlite,
    SqlitePool, Transaction, TypeInfo as _, ValueRef as _,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow},
    query::Query,
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
        SqliteSynchronous,
    },
};

use tokio::time::timeout;

use crate::{DatabaseError, Type, Value};

/// A database of projections: SQLite in a file, or PostgreSQL. Cheap to clone.
///
/// One connection writes and several read. What is written survives the death of the process; after a power cut the
/// last transactions may be gone, rows and positions alike, and the journal gives them back: that is why neither
/// database is asked to wait for its disk.
#[derive(Clone, Debug)]
pub struct Database(Pools);

#[derive(Clone, Debug)]
enum Pools {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// A transaction that writes. Dropped without a commit it has done nothing.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// A parameter of a statement.
pub(crate) type Arg = (Type, Value);

/// One row of an answer.
pub type Record = Vec<Value>;

/// How long a writer waits for another one.
const BUSY: Duration = Duration::from_secs(15);
/// How long somebody waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(10);
const READERS: u32 = 8;

impl Database {
    /// Opens `sqlite:PATH`, which is made if it is not there, or `postgres://USER@HOST/NAME`, which has to be.
    ///
    /// # Errors
    /// When the URL is none, or the database does not answer.
    pub async fn open(url: &str) -> Result<Self, DatabaseError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => {
                let options = SqliteConnectOptions::from_str(url).map_err(|why| wrong(url, why))?;
                Ok(Self(sqlite(options).await?))
            }
            Some("postgres" | "postgresql") => Ok(Self(postgres(postgres_at(url)?).await?)),
            _ => Err(wrong(url, "it begins with neither sqlite: nor postgres:")),
        }
    }

    /// Has every connection that is made from now on go to this URL of PostgreSQL: the same database, under another password
    /// or at another place. Connections that there are stay. A file of SQLite stays where it is.
    ///
    /// # Errors
    /// When the URL is none of PostgreSQL.
    pub fn readdress(&self, url: &str) -> Result<(), DatabaseError> {
        if let Pools::Postgres(pool) = &self.0 {
            pool.set_connect_options(postgres_at(url)?);
        }
        Ok(())
    }

    /// The rows that one query finds; its parameters are `$1`, `$2`, … It sees one state of the database.
    ///
    /// # Errors
    /// When the database does not answer, or does not take the query.
    pub async fn read(&self, sql: &str, args: &[Value]) -> Result<Vec<Record>, DatabaseError> {
        let args = args.iter().map(|value| (type_of(value), value.clone()));
        match &self.0 {
            Pools::Sqlite { readers, .. } => {
                let query = args.fold(sqlx::query(AssertSqlSafe(sql)), bind_sqlite);
                records(&query.fetch_all(readers).await?, sqlite_value)
            }
            Pools::Postgres(pool) => {
                let query = args.fold(sqlx::query(AssertSqlSafe(sql)), bind_postgres);
                records(&query.fetch_all(pool).await?, postgres_value)
            }
        }
    }

    /// True for PostgreSQL.
    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self.0, Pools::Postgres(_))
    }

    /// Begins to write; in SQLite it is the only one who does.
    pub(crate) async fn begin(&self) -> Result<Tx, DatabaseError> {
        Ok(match &self.0 {
            Pools::Sqlite { writer, .. } => Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Pools::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }
}

impl Tx {
    /// Runs one statement; returns how many rows it changed.
    pub(crate) async fn execute(&mut self, sql: &str, args: Vec<Arg>) -> Result<u64, DatabaseError> {
        let args = args.into_iter();
        Ok(match self {
            Self::Sqlite(tx) => {
                let query = args.fold(sqlx::query(AssertSqlSafe(sql)), bind_sqlite);
                tx.execute(query).await?.rows_affected()
            }
            Self::Postgres(tx) => {
                let query = args.fold(sqlx::query(AssertSqlSafe(sql)), bind_postgres);
                tx.execute(query).await?.rows_affected()
            }
        })
    }

    /// The rows that a query finds.
    pub(crate) async fn read(&mut self, sql: &str, args: Vec<Arg>) -> Result<Vec<Record>, DatabaseError> {
        let args = args.into_iter();
        match self {
            Self::Sqlite(tx) => {
                let query = args.fold(sqlx::query(AssertSqlSafe(sql)), bind_sqlite);
                records(&tx.fetch_all(query).await?, sqlite_value)
            }
            Self::Postgres(tx) => {
                let query = args.fold(sqlx::query(AssertSqlSafe(sql)), bind_postgres);
                records(&tx.fetch_all(query).await?, postgres_value)
            }
        }
    }

    pub(crate) async fn commit(self) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

async fn sqlite(options: SqliteConnectOptions) -> Result<Pools, DatabaseError> {
    let options = options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY)
        .pragma("cache_size", "-65536")
        .pragma("mmap_size", "1073741824")
        // Pages of indexes are written again and again: 64 MiB of them are gathered before they go to their places.
        .pragma("wal_autocheckpoint", "16384");
    let pool = || {
        SqlitePoolOptions::new()
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
    };
    let writer = pool().max_connections(1).connect_with(options.clone()).await?;
    let readers = pool().max_connections(READERS);
    let readers = readers.connect_lazy_with(options.pragma("query_only", "on"));
    Ok(Pools::Sqlite { writer, readers })
}

fn postgres_at(url: &str) -> Result<PgConnectOptions, DatabaseError> {
    let options = PgConnectOptions::from_str(url).map_err(|why| wrong(url, why))?;
    Ok(options
        .application_name("jetsaga")
        .options([("synchronous_commit", "off"), ("client_min_messages", "warning")]))
}

async fn postgres(options: PgConnectOptions) -> Result<Pools, DatabaseError> {
    let pool = PgPoolOptions::new()
        .acquire_timeout(ACQUIRE)
        .max_connections(READERS);
    match pool.connect_with(options.clone()).await {
        // The pool tries again and again, and does not say what came of it.
        Err(sqlx::Error::PoolTimedOut) => Err(DatabaseError::Absent {
            place: format!("{}:{}", options.get_host(), options.get_port()),
            why: match timeout(ACQUIRE, options.connect()).await {
                Ok(Ok(_)) => "it takes longer than 10 s to let somebody in".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "nothing comes back".to_owned(),
            },
        }),
        made => Ok(Pools::Postgres(made?)),
    }
}

fn bind_sqlite<'q>(
    query: Query<'q, Sqlite, SqliteArguments>,
    (of, value): Arg,
) -> Query<'q, Sqlite, SqliteArguments> {
    match (of, value) {
        (_, Value::Bool(value)) => query.bind(value),
        (_, Value::Integer(value)) => query.bind(value),
        (_, Value::Text(value)) => query.bind(value),
        (_, Value::Null) => query.bind(None::<i64>),
    }
}

/// PostgreSQL wants to know what kind of nothing it gets.
fn bind_postgres<'q>(
    query: Query<'q, Postgres, PgArguments>,
    (of, value): Arg,
) -> Query<'q, Postgres, PgArguments> {
    match (of, value) {
        (_, Value::Bool(value)) => query.bind(value),
        (_, Value::Integer(value)) => query.bind(value),
        (_, Value::Text(value)) => query.bind(value),
        (Type::Bool, Value::Null) => query.bind(None::<bool>),
        (Type::Integer, Value::Null) => query.bind(None::<i64>),
        (Type::Text, Value::Null) => query.bind(None::<String>),
    }
}

fn records<R: sqlx::Row>(
    rows: &[R],
    value: impl Fn(&R, usize) -> Result<Value, sqlx::Error>,
) -> Result<Vec<Record>, DatabaseError> {
    let record = |row: &R| {
        (0..row.len())
            .map(|i| value(row, i))
            .collect::<Result<Record, _>>()
    };
    Ok(rows.iter().map(record).collect::<Result<_, _>>()?)
}

fn sqlite_value(row: &SqliteRow, index: usize) -> Result<Value, sqlx::Error> {
    let cell = row.try_get_raw(index)?;
    if cell.is_null() {
        return Ok(Value::Null);
    }
    let text = cell.type_info().name() == "TEXT";
    Ok(if text {
        Value::Text(row.try_get(index)?)
    } else {
        Value::Integer(row.try_get_unchecked(index)?)
    })
}

fn postgres_value(row: &PgRow, index: usize) -> Result<Value, sqlx::Error> {
    if row.try_get_raw(index)?.is_null() {
        return Ok(Value::Null);
    }
    Ok(match row.column(index).type_info().name() {
        "BOOL" => Value::Bool(row.try_get(index)?),
        "INT8" => Value::Integer(row.try_get(index)?),
        "INT4" => Value::Integer(row.try_get::<i32, _>(index)?.into()),
        _ => Value::Text(row.try_get(index)?),
    })
}

const fn type_of(value: &Value) -> Type {
    match value {
        Value::Bool(_) => Type::Bool,
        Value::Integer(_) => Type::Integer,
        Value::Text(_) | Value::Null => Type::Text,
    }
}

fn wrong(url: &str, why: impl ToString) -> DatabaseError {
    DatabaseError::Url {
        url: without_password(url),
        why: why.to_string(),
    }
}

/// The URL as far as it may be shown: a file holds no password.
fn without_password(url: &str) -> String {
    match url.split_once(':') {
        Some(("sqlite", _)) => url.to_owned(),
        Some((scheme @ ("postgres" | "postgresql"), _)) => format!("{scheme}://…"),
        _ => "…".to_owned(),
    }
}
