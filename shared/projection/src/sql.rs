//! The text of every statement that writes rows. It is the same for both databases.

use std::fmt::Write as _;

use crate::{
    Value,
    batch::{Batch, Pending},
    database::{Arg, Tx},
    error::DatabaseError,
    rows::Cell,
    table::{Column, Role, Table},
};

/// Rows that one statement writes, so that few texts are prepared once and used again.
const ROWS: [usize; 3] = [128, 16, 1];

/// The name of a table of one generation.
pub(crate) fn physical(table: &Table, generation: i64) -> String {
    format!("{}_g{generation}", table.name)
}

/// Makes the table of this generation, with its indexes.
pub(crate) fn create(table: &Table, generation: i64) -> Vec<String> {
    let name = physical(table, generation);
    let columns = table.columns.iter().map(|Column { name, of, role }| {
        let rest = match role {
            Role::Key => " NOT NULL",
            Role::Fact => "",
            Role::Count => " NOT NULL DEFAULT 0",
        };
        format!("\"{name}\" {}{rest}", of.sql())
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    let key = names(table.keys().map(|c| c.name));
    let mut statements = vec![format!(
        "CREATE TABLE \"{name}\" ({columns}, PRIMARY KEY ({key}))"
    )];
    for (number, index) in table.indexes.iter().enumerate() {
        let columns = names(index.iter().copied());
        statements.push(format!(
            "CREATE INDEX \"{name}_i{number}\" ON \"{name}\" ({columns})"
        ));
    }
    statements
}

/// Has the table's own name show this generation.
pub(crate) fn show(table: &Table, generation: i64) -> [String; 2] {
    let (name, physical) = (table.name, physical(table, generation));
    [
        format!("DROP VIEW IF EXISTS \"{name}\""),
        format!("CREATE VIEW \"{name}\" AS SELECT * FROM \"{physical}\""),
    ]
}

/// Every row of a table, its columns in the order of their declaration.
pub(crate) fn all(table: &Table) -> String {
    let columns = names(table.columns.iter().map(|c| c.name));
    format!("SELECT {columns} FROM \"{}\"", table.name)
}

/// Writes what a batch changes into the tables of one generation.
pub(crate) async fn write(
    tx: &mut Tx,
    tables: &[Table],
    generation: i64,
    batch: Batch,
) -> Result<(), DatabaseError> {
    let mut rows = batch.into_rows().into_iter().peekable();
    for (index, table) in tables.iter().enumerate() {
        let name = physical(table, generation);
        let (mut deleted, mut shapes) = (Vec::new(), Vec::<(Shape, Vec<Arg>)>::new());
        while let Some((_, key, row)) = rows.next_if(|(table, ..)| *table == index) {
            if row.deleted {
                deleted.push(key.clone());
            }
            sort_in(table, key, row, &mut shapes);
        }
        delete(tx, table, &name, deleted).await?;
        for (shape, args) in shapes {
            upsert(tx, table, &name, &shape, args).await?;
        }
    }
    Ok(())
}

/// Which columns of a row are written, and how: rows of one shape go into one statement.
type Shape = Vec<(usize, How)>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Set,
    First,
    Add,
}

fn sort_in(table: &Table, key: Vec<Value>, row: Pending, shapes: &mut Vec<(Shape, Vec<Arg>)>) {
    let Some(written) = row.written else { return };
    let mut args: Vec<Arg> = table.keys().map(|c| c.of).zip(key).collect();
    let mut shape = Shape::new();
    for (index, (column, cell)) in table.columns.iter().zip(written).enumerate() {
        let (how, value) = match cell {
            None => continue,
            Some(Cell::Set(value)) => (How::Set, value),
            Some(Cell::First(value)) => (How::First, value),
            Some(Cell::Add(amount)) => (How::Add, Value::Integer(amount)),
        };
        shape.push((index, how));
        args.push((column.of, value));
    }
    match shapes.iter_mut().find(|(known, _)| *known == shape) {
        Some((_, known)) => known.append(&mut args),
        None => shapes.push((shape, args)),
    }
}

async fn delete(tx: &mut Tx, table: &Table, name: &str, keys: Vec<Vec<Value>>) -> Result<(), DatabaseError> {
    let columns: Vec<&Column> = table.keys().collect();
    for keys in chunks(keys, 1) {
        let mut number = 0;
        let mut one = || {
            let parts = columns.iter().map(|c| {
                number += 1;
                format!("\"{}\" = ${number}", c.name)
            });
            format!("({})", parts.collect::<Vec<_>>().join(" AND "))
        };
        let any = keys.iter().map(|_| one()).collect::<Vec<_>>().join(" OR ");
        let args = keys
            .into_iter()
            .flat_map(|key| columns.iter().map(|c| c.of).zip(key))
            .collect();
        tx.execute(&format!("DELETE FROM \"{name}\" WHERE {any}"), args)
            .await?;
    }
    Ok(())
}

async fn upsert(
    tx: &mut Tx,
    table: &Table,
    name: &str,
    shape: &Shape,
    args: Vec<Arg>,
) -> Result<(), DatabaseError> {
    let width = table.keys().count() + shape.len();
    for args in chunks(args, width) {
        let sql = upsert_text(table, name, shape, args.len() / width);
        tx.execute(&sql, args).await?;
    }
    Ok(())
}

fn upsert_text(table: &Table, name: &str, shape: &Shape, rows: usize) -> String {
    let keys = names(table.keys().map(|c| c.name));
    let written = shape
        .iter()
        .filter_map(|(index, how)| Some((table.columns.get(*index)?.name, *how)));
    let written: Vec<(&str, How)> = written.collect();
    let columns = table
        .keys()
        .map(|c| c.name)
        .chain(written.iter().map(|(name, _)| *name));
    let columns: Vec<&str> = columns.collect();
    let mut sql = format!(
        "INSERT INTO \"{name}\" AS was ({}) VALUES ",
        names(columns.iter().copied())
    );
    for row in 0..rows {
        let first = row * columns.len() + 1;
        let places: Vec<String> = (first..first + columns.len()).map(|n| format!("${n}")).collect();
        let comma = if row == 0 { "" } else { ", " };
        let _ = write!(sql, "{comma}({})", places.join(", ")); // a String takes it
    }
    let updates = written.iter().map(|(column, how)| match how {
        How::Set => format!("\"{column}\" = excluded.\"{column}\""),
        How::First => format!("\"{column}\" = COALESCE(was.\"{column}\", excluded.\"{column}\")"),
        How::Add => format!("\"{column}\" = was.\"{column}\" + excluded.\"{column}\""),
    });
    let updates = updates.collect::<Vec<_>>().join(", ");
    let what = if updates.is_empty() {
        "NOTHING".to_owned()
    } else {
        format!("UPDATE SET {updates}")
    };
    let _ = write!(sql, " ON CONFLICT ({keys}) DO {what}");
    sql
}

/// Pieces of a few sizes, counted in rows of `width` values each.
fn chunks<T>(values: Vec<T>, width: usize) -> Vec<Vec<T>> {
    let mut values = values.into_iter();
    let mut chunks = Vec::new();
    for rows in ROWS {
        let size = rows * width;
        while values.len() >= size && size > 0 {
            chunks.push(values.by_ref().take(size).collect());
        }
    }
    chunks
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Type;

    #[test]
    fn a_row_is_written_in_one_statement_that_knows_what_was() {
        let table = Table::new("t")
            .key("id", Type::Text)
            .text("a")
            .text("b")
            .count("n");
        let shape = vec![(1, How::Set), (2, How::First), (3, How::Add)];
        let sql = upsert_text(&table, "t_g1", &shape, 2);
        let expected = "INSERT INTO \"t_g1\" AS was (\"id\", \"a\", \"b\", \"n\") VALUES ($1, $2, $3, $4), ($5, $6, $7, $8) \
             ON CONFLICT (\"id\") DO UPDATE SET \"a\" = excluded.\"a\", \"b\" = COALESCE(was.\"b\", excluded.\"b\"), \
             \"n\" = was.\"n\" + excluded.\"n\"";
        assert_eq!(sql, expected);
    }

    #[test]
    fn nothing_is_lost_between_pieces() {
        let pieces = chunks((0..2 * 300).collect(), 2);
        assert_eq!(pieces.iter().map(Vec::len).max(), Some(256));
        assert_eq!(pieces.concat(), (0..600).collect::<Vec<_>>());
    }
}
