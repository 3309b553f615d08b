use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead as _, BufReader, BufWriter, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use checkout::books::{Scope, Source};

use super::Sink;

const SCOPE: &str = "scope.json";

/// A recording that is being written.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    files: BTreeMap<Source, BufWriter<File>>,
}

impl Folder {
    /// Begins a recording in the folder `path`, which is made if need be.
    ///
    /// # Errors
    /// When there is a recording already, or nothing can be written there.
    pub fn create(path: &Path, scope: Scope) -> anyhow::Result<Self> {
        let shown = path.display();
        let taken = path.join(Source::Journal.file());
        ensure!(
            !taken.exists(),
            "{shown} holds a recording already; name another folder"
        );
        fs::create_dir_all(path).with_context(|| format!("the folder {shown} cannot be made"))?;
        let file = path.join(SCOPE);
        fs::write(&file, serde_json::to_string(&scope)?)
            .with_context(|| format!("{} cannot be written", file.display()))?;
        Ok(Self {
            path: path.to_owned(),
            files: BTreeMap::new(),
        })
    }

    /// Ends the recording: all of it is in its files when this returns.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn finish(self) -> anyhow::Result<()> {
        for (source, mut file) in self.files {
            file.flush()
                .with_context(|| format!("{} cannot be written", source.file()))?;
        }
        Ok(())
    }

    fn file(&mut self, source: Source) -> anyhow::Result<&mut BufWriter<File>> {
        let path = self.path.join(source.file());
        match self.files.entry(source) {
            std::collections::btree_map::Entry::Occupied(file) => Ok(file.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => {
                let file =
                    File::create(&path).with_context(|| format!("{} cannot be made", path.display()))?;
                Ok(place.insert(BufWriter::new(file)))
            }
        }
    }
}

impl Sink for Folder {
    fn begin(&mut self, source: Source) -> anyhow::Result<()> {
        self.file(source).map(drop)
    }

    fn line(&mut self, source: Source, line: &str) -> anyhow::Result<()> {
        let file = self.file(source)?;
        file.write_all(line.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .with_context(|| format!("{} cannot be written", source.file()))
    }
}

/// Whether a recording was taken at rest. One that does not say so was.
///
/// # Errors
/// When its `scope.json` cannot be read.
pub fn scope(folder: &Path) -> anyhow::Result<Scope> {
    let path = folder.join(SCOPE);
    let shown = path.display();
    match fs::read_to_string(&path) {
        Ok(text) => {
            serde_json::from_str(&text).with_context(|| format!("{shown} says nothing of a recording"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Scope::REST),
        Err(error) => Err(error).with_context(|| format!("{shown} cannot be read")),
    }
}

/// Gives every line of a recording to `sink`. A source whose file is not there is not begun.
///
/// # Errors
/// When there is no journal, or a line cannot be read; the error names file, line and field.
pub fn read(folder: &Path, sink: &mut impl Sink) -> anyhow::Result<()> {
    for source in Source::ALL {
        let path = folder.join(source.file());
        let shown = path.display();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound && source != Source::Journal => continue,
            Err(error) => return Err(error).with_context(|| format!("{shown} cannot be read")),
        };
        sink.begin(source)?;
        if source == Source::Consumers {
            let text = std::io::read_to_string(file).with_context(|| format!("{shown} cannot be read"))?;
            sink.line(source, &text).with_context(|| shown.to_string())?;
            continue;
        }
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let line = line.with_context(|| format!("{shown} cannot be read"))?;
            if !line.is_empty() {
                sink.line(source, &line)
                    .with_context(|| format!("{shown}, line {}", number + 1))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use checkout::books::Books;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_wrong_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("run");
        let scope_was = Scope {
            at_rest: false,
            settled: 7,
            at: None,
        };
        let mut folder = Folder::create(&at, scope_was).unwrap();
        let line =
            r#"{"sequence":1,"subject":"evt.a.B.c","guard":0,"time":"2026-01-01T00:00:00Z","body":"x"}"#;
        folder.begin(Source::Journal).unwrap();
        folder.line(Source::Journal, line).unwrap();
        folder.line(Source::Ledger, r#"{"seq":"one"}"#).unwrap();
        folder.finish().unwrap();
        assert_eq!(scope(&at).unwrap(), scope_was);

        let again = Folder::create(&at, scope_was).unwrap_err().to_string();
        assert!(
            again.ends_with("holds a recording already; name another folder"),
            "{again}"
        );
        let error = format!(
            "{:#}",
            read(&at, &mut Books::new(Scope::REST).unwrap()).unwrap_err()
        );
        assert!(error.contains("ledger.jsonl, line 1: "), "{error}");
        assert!(error.contains("seq: invalid type: string"), "{error}");
        let none = read(dir.path(), &mut Books::new(Scope::REST).unwrap())
            .unwrap_err()
            .to_string();
        assert!(none.ends_with("journal.jsonl cannot be read"), "{none}");
    }
}
