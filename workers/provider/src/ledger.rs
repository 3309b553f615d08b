use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Context, bail};

use crate::book::Book;
use crate::fact::Entry;

/// The ledger file: one JSON object a line, only ever appended to. The file is
/// locked for as long as this value lives: a second process cannot open it.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: File,
    /// The bytes of whole lines.
    len: u64,
    fsync: bool,
    /// Set when a failed write could not be taken back: the end of the file is
    /// then unknown, and nothing may follow it.
    broken: bool,
}

impl Ledger {
    /// Opens the file at `path`, which is created if need be, and reads it back.
    /// A last line without its end (the process was killed in the middle of a
    /// write, so nobody was told of it) is cut off with a warning.
    ///
    /// # Errors
    /// If the file cannot be opened, is in use by another process or has a line
    /// which does not belong there; the error names the file and the line.
    pub(crate) fn open(path: &Path, fsync: bool) -> anyhow::Result<(Self, Book)> {
        let shown = path.display();
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| format!("cannot open the ledger {shown}"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("the ledger {shown} is in use by another process"),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock the ledger {shown}"));
            }
        }
        let (book, len) = read_back(&file, path)?;
        Ok((
            Self {
                file,
                len,
                fsync,
                broken: false,
            },
            book,
        ))
    }

    /// Appends one line. When this returns `Ok`, `write(2)` has taken the whole
    /// line (and with `fsync`, the disk has), so the end of the process does not
    /// lose it. Blocks the thread for that time.
    ///
    /// # Errors
    /// If the line could not be written; no part of it is in the file then, or
    /// every later call fails too.
    pub(crate) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other(
                "an earlier write failed and could not be taken back",
            ));
        }
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.sync());
        match written {
            Ok(()) => self.len += line.len() as u64,
            Err(_) => self.broken = self.file.set_len(self.len).is_err(),
        }
        written
    }

    fn sync(&self) -> io::Result<()> {
        if self.fsync { self.file.sync_data() } else { Ok(()) }
    }
}

/// Folds the file into a book and returns it with the length of its whole lines.
fn read_back(file: &File, path: &Path) -> anyhow::Result<(Book, u64)> {
    let shown = path.display();
    let mut book = Book::default();
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    let mut len = 0;
    for number in 1_u64.. {
        line.clear();
        lines
            .read_until(b'\n', &mut line)
            .with_context(|| format!("cannot read the ledger {shown}"))?;
        let Some((b'\n', json)) = line.split_last() else {
            break;
        };
        let entry: Entry =
            serde_json::from_slice(json).with_context(|| format!("{shown}, line {number}: not an entry"))?;
        if let Err(wrong) = book.apply(entry) {
            bail!("{shown}, line {number}: {wrong}");
        }
        len += line.len() as u64;
    }
    if !line.is_empty() {
        tracing::warn!(ledger = %shown, bytes = line.len(), "the last line was torn: cut off");
        file.set_len(len)
            .with_context(|| format!("cannot cut the torn last line off {shown}"))?;
    }
    Ok((book, len))
}
