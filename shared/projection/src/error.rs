use saga::Timestamp;

use crate::table::DeclarationError;

/// Why a database of projections cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL is none.
    #[error(
        "{url:?} is no database: {why}; it takes sqlite:PATH, such as sqlite:jetsaga.db, or postgres://USER@HOST/NAME"
    )]
    Url {
        /// What was given; a password in it is not shown.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody is there.
    #[error("no database answers at {place}: {why}")]
    Absent {
        /// Host and port.
        place: String,
        /// What became of a try.
        why: String,
    },
    /// It does not answer, or not as it should.
    #[error("the database failed: {0}")]
    Failed(#[from] sqlx::Error),
    /// It was filled from another journal.
    #[error(
        "this database was filled from the journal made at {filled_from}, but the server's journal was made at {found}: \
         name another database with DATABASE_URL, or drop this one's tables (a file: delete it) and start again"
    )]
    AnotherJournal {
        /// When the journal that it knows was made.
        filled_from: String,
        /// When the server's was made.
        found: Timestamp,
    },
    /// It knows more than the journal.
    #[error(
        "projection {projection} has applied event {position}, but the journal ends at {last}: the server has lost the \
         end of its journal, and this database shows what is not in it any more; restore the journal, or name another \
         database with DATABASE_URL and let it be filled anew"
    )]
    Beyond {
        /// The projection.
        projection: String,
        /// What it has applied.
        position: u64,
        /// Where the journal ends.
        last: u64,
    },
    /// The tables were made by another version of the projection.
    #[error(
        "the tables of projection {projection} were made by another version of it; run \
         `jetsaga projection rebuild {projection}`: what is there is read until the new ones are complete"
    )]
    Outdated {
        /// The projection.
        projection: String,
    },
    /// It was made by a newer Jetsaga.
    #[error(
        "the database has format {found}, but this program knows {known}; use a newer jetsaga, or another DATABASE_URL"
    )]
    Format {
        /// What it has.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// There is no projection of this name.
    #[error("there is no projection {name}; there are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// Somebody else rebuilds it.
    #[error(
        "projection {projection} is being rebuilt by another process, which goes on; wait until it is done"
    )]
    BeingRebuilt {
        /// The projection.
        projection: String,
    },
    /// Another rebuild began while this one made no progress.
    #[error(
        "another rebuild of projection {projection} took this one's place, because this one made no progress"
    )]
    Superseded {
        /// The projection.
        projection: String,
    },
    /// A projection cannot be declared so.
    #[error(transparent)]
    Declaration(#[from] DeclarationError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] engine::FeedError),
}

impl DatabaseError {
    /// True if the same may succeed later without anybody doing anything.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Journal(_))
    }

    /// True if the database will not have what it was given, and never will: a number or a text that is too large for
    /// it, a row that breaks a rule.
    pub(crate) fn is_refusal(&self) -> bool {
        let Self::Failed(sqlx::Error::Database(error)) = self else {
            return false;
        };
        let Some(code) = error.code() else {
            return false;
        };
        match code.parse::<u32>() {
            // SQLite says a number, of which the lowest byte is the kind: too big, a constraint, a mismatch.
            Ok(number) if code.len() != 5 => [18, 19, 20].contains(&(number & 0xff)),
            // PostgreSQL says five characters: a data exception, an integrity constraint, a limit.
            _ => ["22", "23", "54"].iter().any(|class| code.starts_with(class)),
        }
    }
}
