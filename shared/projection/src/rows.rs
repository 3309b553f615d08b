use crate::{
    Value,
    table::{Role, Table},
};

/// What one event changes in the tables of its projection.
#[derive(Debug)]
pub struct Rows<'t> {
    tables: &'t [Table],
    pub(crate) changes: Vec<Change>,
    wrong: Option<String>,
}

/// One row of [`Rows`] that is written: it is there afterwards.
#[derive(Debug)]
pub struct Row<'r, 't> {
    rows: &'r mut Rows<'t>,
    /// The table and the change; none of both if there is no such table.
    at: Option<(usize, usize)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) table: usize,
    pub(crate) key: Vec<Value>,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The row is there, and these cells of it change.
    Write(Vec<(usize, Cell)>),
    /// The row is not there.
    Delete,
}

/// How a cell changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// It becomes this.
    Set(Value),
    /// It becomes this if it is null.
    First(Value),
    /// It grows by this.
    Add(i64),
}

impl<'t> Rows<'t> {
    pub(crate) const fn of(tables: &'t [Table]) -> Self {
        Self {
            tables,
            changes: Vec::new(),
            wrong: None,
        }
    }

    /// Has the row with this key in `table`: a new one if there is none, with nulls and zeros.
    pub fn row<'r, V: Into<Value>>(
        &'r mut self,
        table: &str,
        key: impl IntoIterator<Item = V>,
    ) -> Row<'r, 't> {
        let at = self.push(table, key, What::Write(Vec::new()));
        Row { rows: self, at }
    }

    /// Has no row with this key in `table`.
    pub fn delete<V: Into<Value>>(&mut self, table: &str, key: impl IntoIterator<Item = V>) {
        self.push(table, key, What::Delete);
    }

    /// The changes, if each fits its table.
    pub(crate) fn done(self) -> Result<Vec<Change>, String> {
        self.wrong.map_or(Ok(self.changes), Err)
    }

    fn push<V: Into<Value>>(
        &mut self,
        name: &str,
        key: impl IntoIterator<Item = V>,
        what: What,
    ) -> Option<(usize, usize)> {
        let Some((table, declared)) = self.tables.iter().enumerate().find(|(_, t)| t.name == name) else {
            return self.fail(format!("the projection declares no table {name}"));
        };
        let key: Vec<Value> = key.into_iter().map(Into::into).collect();
        let fits = declared.keys().count() == key.len()
            && declared
                .keys()
                .zip(&key)
                .all(|(c, v)| c.of.takes(v) && *v != Value::Null);
        if !fits {
            return self.fail(format!("{key:?} is no key of table {name}"));
        }
        self.changes.push(Change { table, key, what });
        Some((table, self.changes.len() - 1))
    }

    /// The first mistake is told.
    fn fail<T>(&mut self, why: String) -> Option<T> {
        self.wrong.get_or_insert(why);
        None
    }
}

impl Row<'_, '_> {
    /// The cell becomes `value`.
    #[must_use]
    pub fn set(self, column: &str, value: impl Into<Value>) -> Self {
        self.change(column, Role::Fact, Cell::Set(value.into()))
    }

    /// The cell becomes `value` if it is null: of several events the first one says what it is.
    #[must_use]
    pub fn first(self, column: &str, value: impl Into<Value>) -> Self {
        self.change(column, Role::Fact, Cell::First(value.into()))
    }

    /// The count grows by `amount`, which may be negative.
    #[must_use]
    pub fn add(self, column: &str, amount: i64) -> Self {
        self.change(column, Role::Count, Cell::Add(amount))
    }

    /// Nothing more: what was said is written in any case.
    pub fn done(self) {}

    fn change(self, name: &str, role: Role, cell: Cell) -> Self {
        let Some((table, change)) = self.at else {
            return self;
        };
        let Some(declared) = self.rows.tables.get(table) else {
            return self;
        };
        let fits =
            |value: &Value, index: usize| declared.columns.get(index).is_some_and(|c| c.of.takes(value));
        let column = declared.find(name).filter(|index| {
            declared.columns.get(*index).is_some_and(|c| c.role == role)
                && match &cell {
                    Cell::Set(value) | Cell::First(value) => fits(value, *index),
                    Cell::Add(_) => true,
                }
        });
        let Some(column) = column else {
            let table = declared.name;
            let _: Option<()> = self
                .rows
                .fail(format!("table {table} has no column {name} that takes {cell:?}"));
            return self;
        };
        if let Some(Change {
            what: What::Write(cells),
            ..
        }) = self.rows.changes.get_mut(change)
        {
            cells.push((column, cell));
        }
        self
    }
}

impl Cell {
    /// This change and then `next`, as one.
    pub(crate) fn then(self, next: Self) -> Self {
        match (self, next) {
            (Self::Add(a), Self::Add(b)) => Self::Add(a.saturating_add(b)),
            (Self::Set(Value::Null), Self::First(value)) => Self::Set(value),
            (Self::First(Value::Null), later @ Self::First(_)) => later,
            (earlier @ (Self::Set(_) | Self::First(_)), Self::First(_)) => earlier,
            (_, later) => later, // a column is only ever added to, or never
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Type;

    fn tables() -> Vec<Table> {
        vec![
            Table::new("t")
                .key("id", Type::Text)
                .text("a")
                .count("n")
                .bool("b"),
        ]
    }

    #[test]
    fn a_change_that_does_not_fit_its_table_is_named() {
        type Wrong = fn(&mut Rows<'_>);
        let cases: [(Wrong, &str); 6] = [
            (|rows| rows.row("u", ["k"]).done(), "no table u"),
            (|rows| rows.row("t", [1_i64]).done(), "no key of table t"),
            (|rows| rows.row("t", ["k", "l"]).done(), "no key of table t"),
            (|rows| rows.row("t", ["k"]).set("a", 1_i64).done(), "no column a"),
            (|rows| rows.row("t", ["k"]).set("n", 1_i64).done(), "no column n"),
            (|rows| rows.row("t", ["k"]).add("a", 1).done(), "no column a"),
        ];
        for (wrong, why) in cases {
            let tables = tables();
            let mut rows = Rows::of(&tables);
            wrong(&mut rows);
            let error = rows.done().unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
