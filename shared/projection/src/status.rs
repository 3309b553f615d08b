use engine::Nats;
use serde::Serialize;

use crate::{
    DatabaseError, Store,
    cells::{integer_at, text_at, unsigned},
    runner::known,
};

/// How a projection stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its name.
    pub name: &'static str,
    /// The sequence of the last event that it contains, or passed by.
    pub position: u64,
    /// How many sequences of the journal are left.
    pub lag: u64,
    /// How many events it could not read.
    pub problems: u64,
    /// Which set of tables is read; it changes with every rebuild.
    pub generation: i64,
    /// It has to be rebuilt before anything is applied.
    pub outdated: bool,
    /// The position of a rebuild that goes on, or was left behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuilt_to: Option<u64>,
}

impl Store {
    /// How every projection stands.
    ///
    /// # Errors
    /// When database or journal fail, or do not belong together.
    pub async fn status(&self, nats: &Nats) -> Result<Vec<Status>, DatabaseError> {
        let (positions, journal) = known(self, nats).await?;
        let problems = self.problems().await?;
        let rebuilds = "SELECT name, position FROM projection_rebuilds";
        let rebuilds = self.database.read(rebuilds, &[]).await?;
        let status = |position: crate::Position| {
            let rebuilt = rebuilds.iter().find(|row| text_at(row, 0) == position.name);
            let count = problems.iter().filter(|p| p.projection == position.name).count();
            Status {
                name: position.name,
                position: position.sequence,
                lag: journal.last.saturating_sub(position.sequence),
                problems: u64::try_from(count).unwrap_or(u64::MAX),
                generation: position.generation,
                outdated: position.outdated,
                rebuilt_to: rebuilt.map(|row| unsigned(integer_at(row, 1))),
            }
        };
        Ok(positions.into_iter().map(status).collect())
    }
}
