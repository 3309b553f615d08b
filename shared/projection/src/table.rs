use std::{collections::BTreeSet, fmt::Write as _};

use crate::Value;

/// A table of a projection, as it is declared: no SQL, so it is the same in every database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, under which everybody may read it: a view of the rows as they are now.
    pub name: &'static str,
    pub(crate) columns: Vec<Column>,
    pub(crate) indexes: Vec<Vec<&'static str>>,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// Yes or no.
    Bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) of: Type,
    pub(crate) role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Part of what tells rows apart; never null.
    Key,
    /// Set by events; null until then.
    Fact,
    /// Added to by events; 0 until then, and never null.
    Count,
}

/// A declaration that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be declared: {why}")]
pub struct DeclarationError {
    what: String,
    why: String,
}

impl Table {
    /// A table without columns.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            columns: Vec::new(),
            indexes: Vec::new(),
        }
    }

    /// One more column of the key.
    #[must_use]
    pub fn key(self, name: &'static str, of: Type) -> Self {
        self.with(name, of, Role::Key)
    }

    /// A column of text.
    #[must_use]
    pub fn text(self, name: &'static str) -> Self {
        self.with(name, Type::Text, Role::Fact)
    }

    /// A column of whole numbers that events set.
    #[must_use]
    pub fn integer(self, name: &'static str) -> Self {
        self.with(name, Type::Integer, Role::Fact)
    }

    /// A column of times, kept as [`micros`](crate::micros).
    #[must_use]
    pub fn time(self, name: &'static str) -> Self {
        self.integer(name)
    }

    /// A column of yes and no.
    #[must_use]
    pub fn bool(self, name: &'static str) -> Self {
        self.with(name, Type::Bool, Role::Fact)
    }

    /// A column of whole numbers that events add to; it begins at 0.
    #[must_use]
    pub fn count(self, name: &'static str) -> Self {
        self.with(name, Type::Integer, Role::Count)
    }

    /// An index on these columns, in this order.
    #[must_use]
    pub fn index(mut self, columns: &[&'static str]) -> Self {
        self.indexes.push(columns.to_vec());
        self
    }

    fn with(mut self, name: &'static str, of: Type, role: Role) -> Self {
        self.columns.push(Column { name, of, role });
        self
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.role == Role::Key)
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Refuses a table that no database, or not every one, can have.
    pub(crate) fn check(&self) -> Result<(), DeclarationError> {
        let wrong = |why: String| DeclarationError {
            what: format!("table {}", self.name),
            why,
        };
        check_name("table", self.name)?;
        if self.name.starts_with("projection_") {
            return Err(wrong(
                "projection_ begins the names of tables of our own".to_owned(),
            ));
        }
        let mut names = BTreeSet::new();
        for column in &self.columns {
            check_name("column", column.name)?;
            if !names.insert(column.name) {
                return Err(wrong(format!("it has two columns {}", column.name)));
            }
        }
        if self.keys().count() == 0 || self.columns.first().is_none_or(|c| c.role != Role::Key) {
            return Err(wrong(
                "its key comes first, and has at least one column".to_owned(),
            ));
        }
        match self
            .indexes
            .iter()
            .flatten()
            .find(|column| !names.contains(*column))
        {
            Some(unknown) => Err(wrong(format!("an index names {unknown}, which is no column"))),
            None => Ok(()),
        }
    }

    /// Everything about it that its rows depend on.
    pub(crate) fn spell(&self, text: &mut String) {
        let _ = write!(text, "{}(", self.name); // a String takes it
        for Column { name, of, role } in &self.columns {
            let _ = write!(text, "{name} {of:?} {role:?},");
        }
        let _ = write!(text, "{:?})", self.indexes);
    }
}

impl Type {
    pub(crate) const fn takes(self, value: &Value) -> bool {
        matches!(
            (self, value),
            (_, Value::Null)
                | (Self::Text, Value::Text(_))
                | (Self::Integer, Value::Integer(_))
                | (Self::Bool, Value::Bool(_))
        )
    }

    pub(crate) const fn sql(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Integer => "BIGINT",
            Self::Bool => "BOOLEAN",
        }
    }
}

/// Names stay short enough to carry a generation in any database, and need no quoting to be typed.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), DeclarationError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.len() <= 40 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(DeclarationError {
        what: format!("{what} {name:?}"),
        why: "a name takes 1 to 40 characters of a-z 0-9 _, a letter first".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_database_can_have_is_refused() {
        let good = || {
            Table::new("orders")
                .key("id", Type::Text)
                .count("n")
                .index(&["n", "id"])
        };
        assert_eq!(good().check(), Ok(()));
        for (bad, why) in [
            (good().text("n"), "two columns n"),
            (good().index(&["m"]), "names m"),
            (Table::new("orders").text("id"), "its key comes first"),
            (Table::new("Orders").key("id", Type::Text), "a-z"),
            (Table::new("projection_x").key("id", Type::Text), "of our own"),
            (Table::new("t").key("a b", Type::Text), "a-z"),
        ] {
            let error = bad.check().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
