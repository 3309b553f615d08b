use crate::{
    DatabaseError, Picture, Store, Type, Value,
    cells::{integer_at, text_at, unsigned},
    sql,
};

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

impl Store {
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
}
