use std::collections::HashMap;

use crate::{
    Value,
    rows::{Cell, Change, What},
    table::Table,
};

/// The changes of many events, with those of one row made into one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    rows: HashMap<(usize, Vec<Value>), Pending>,
}

/// What becomes of one row: first it is deleted, if so, and then it is written, if so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    pub(crate) deleted: bool,
    /// One entry for each column of the table.
    pub(crate) written: Option<Vec<Option<Cell>>>,
}

impl Batch {
    /// The changes of one more event.
    pub(crate) fn absorb(&mut self, tables: &[Table], changes: Vec<Change>) {
        for Change { table, key, what } in changes {
            let row = self.rows.entry((table, key)).or_default();
            match what {
                What::Delete => {
                    *row = Pending {
                        deleted: true,
                        written: None,
                    }
                }
                What::Write(cells) => {
                    let width = tables.get(table).map_or(0, |table| table.columns.len());
                    let row = row.written.get_or_insert_with(|| vec![None; width]);
                    for (column, cell) in cells {
                        if let Some(slot) = row.get_mut(column) {
                            *slot = Some(match slot.take() {
                                Some(earlier) => earlier.then(cell),
                                None => cell,
                            });
                        }
                    }
                }
            }
        }
    }

    /// The rows of each table, in the order of their keys.
    pub(crate) fn into_rows(self) -> Vec<(usize, Vec<Value>, Pending)> {
        let mut rows: Vec<_> = self
            .rows
            .into_iter()
            .map(|((t, key), row)| (t, key, row))
            .collect();
        rows.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        rows
    }
}
