use std::collections::BTreeMap;

use engine::Heard;

use crate::{
    Projection, Rows, Value,
    rows::{Cell, Change, What},
    table::{Role, Table},
};

/// The tables of a projection in memory, one event after the other: what every database has to agree with.
///
/// A rule is tested with it: given these events, when this one is heard, then that is the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    tables: Vec<Table>,
    rows: BTreeMap<&'static str, BTreeMap<Vec<Value>, Vec<Value>>>,
}

impl Picture {
    /// Empty tables.
    pub fn of(projection: &dyn Projection) -> Self {
        Self::empty(projection.tables())
    }

    pub(crate) fn empty(tables: Vec<Table>) -> Self {
        let rows = tables.iter().map(|table| (table.name, BTreeMap::new())).collect();
        Self { tables, rows }
    }

    /// Applies one event, if the projection hears its kind.
    ///
    /// # Errors
    /// When the projection cannot read it, or changes what it did not declare; nothing changes then.
    pub fn hear(&mut self, projection: &dyn Projection, heard: &Heard) -> anyhow::Result<()> {
        if !projection.kinds().contains(&heard.kind.as_str()) {
            return Ok(());
        }
        let tables = projection.tables();
        let mut rows = Rows::of(&tables);
        projection.hear(heard, &mut rows)?;
        for change in rows.done().map_err(anyhow::Error::msg)? {
            self.apply(change);
        }
        Ok(())
    }

    /// The row with this key, its columns by name; `None` if there is none.
    pub fn row<V: Into<Value>>(
        &self,
        table: &str,
        key: impl IntoIterator<Item = V>,
    ) -> Option<BTreeMap<&'static str, Value>> {
        let key: Vec<Value> = key.into_iter().map(Into::into).collect();
        let cells = self.rows.get(table)?.get(&key)?;
        let columns = &self.tables.iter().find(|t| t.name == table)?.columns;
        Some(
            columns
                .iter()
                .map(|c| c.name)
                .zip(cells.iter().cloned())
                .collect(),
        )
    }

    /// How many rows a table has.
    pub fn count(&self, table: &str) -> usize {
        self.rows.get(table).map_or(0, BTreeMap::len)
    }

    /// Every row of every table, one a line.
    pub fn lines(&self) -> Vec<String> {
        let rows = self.rows.iter();
        rows.flat_map(|(table, rows)| rows.values().map(move |cells| format!("{table} {cells:?}")))
            .collect()
    }

    /// A whole row, as a database keeps it.
    pub(crate) fn insert(&mut self, table: &'static str, keys: usize, cells: Vec<Value>) {
        let key = cells.iter().take(keys).cloned().collect();
        self.rows.entry(table).or_default().insert(key, cells);
    }

    fn apply(&mut self, Change { table, key, what }: Change) {
        let Some(table) = self.tables.get(table) else {
            return;
        };
        let rows = self.rows.entry(table.name).or_default();
        let cells = match what {
            What::Delete => {
                rows.remove(&key);
                return;
            }
            What::Write(cells) => cells,
        };
        let row = rows.entry(key).or_insert_with_key(|key| fresh(table, key));
        for (column, cell) in cells {
            if let Some(slot) = row.get_mut(column) {
                change(slot, cell);
            }
        }
    }
}

fn fresh(table: &Table, key: &[Value]) -> Vec<Value> {
    let mut key = key.iter().cloned();
    let columns = table.columns.iter().map(|column| match column.role {
        Role::Key => key.next().unwrap_or(Value::Null),
        Role::Fact => Value::Null,
        Role::Count => Value::Integer(0),
    });
    columns.collect()
}

fn change(slot: &mut Value, cell: Cell) {
    match (cell, &*slot) {
        (Cell::Set(value), _) | (Cell::First(value), Value::Null) => *slot = value,
        (Cell::First(_), _) => {}
        (Cell::Add(amount), Value::Integer(before)) => *slot = Value::Integer(before.saturating_add(amount)),
        (Cell::Add(amount), _) => *slot = Value::Integer(amount),
    }
}
