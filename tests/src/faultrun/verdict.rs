use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::Result;
use checkout::books::{Books, Counts, Source};
use jetsaga::Nats;
use jetsaga_cli::record::{self, Folder, Ledger, Live, Sink};
use serde::{Deserialize, Serialize};

use super::{
    entity::{POISON, Sagas},
    history::{Expected, Line, Outcome},
    site::Site,
};

/// The name of the provider's ledger in the folder of a run.
pub(super) const LEDGER: &str = "provider-ledger.jsonl";

/// Takes the accounts of a system that is at rest, or should be, into the folder of the run.
///
/// # Errors
/// When something cannot be read or written.
pub(super) async fn record(site: &Site, dir: &Path, at_rest: bool) -> Result<()> {
    let nats = Nats::connect(&site.url(), "recorder").await?;
    let live = Live::open(&nats, Ledger::File(dir.join(LEDGER)), at_rest).await?;
    let mut folder = Folder::create(dir, live.scope())?;
    live.read(&mut folder).await?;
    folder.finish()
}

/// Everything that does not hold of a recorded run, and how much was checked: the one place where a run is judged.
///
/// # Errors
/// When the recording cannot be read.
pub(super) fn check(dir: &Path, history: &[Line], sagas: &Sagas) -> Result<(Vec<String>, Counts)> {
    let mut unspoilt = Unspoilt {
        books: Books::new(record::scope(dir)?)?,
        written: BTreeSet::new(),
        buried: BTreeSet::new(),
    };
    record::read(dir, &mut unspoilt)?;
    let report = unspoilt.books.close();
    let mut wrong: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    let lost = unspoilt.written.difference(&unspoilt.buried);
    wrong.extend(lost.map(|subject| format!("{subject} is no event, and was not buried by anybody")));
    wrong.extend(sagas.violations.iter().cloned());
    wrong.extend(history.iter().filter_map(|line| answered(line, sagas)));
    Ok((wrong, report.counts))
}

/// The books without what an administrator spoilt on purpose: these events are dead letters, and nothing else.
struct Unspoilt {
    books: Books,
    /// The subjects of spoilt events.
    written: BTreeSet<String>,
    /// Those of them that are dead letters.
    buried: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(alias = "key")]
    subject: String,
}

impl Sink for Unspoilt {
    fn begin(&mut self, source: Source) -> Result<()> {
        self.books.begin(source)
    }

    fn line(&mut self, source: Source, line: &str) -> Result<()> {
        let told = match source {
            Source::Journal | Source::Bucket | Source::Letters => true,
            Source::Ledger | Source::History | Source::Consumers | Source::Schedules => false,
        };
        if told && line.contains(POISON) {
            let subject = serde_json::from_str::<Named>(line)?.subject;
            if subject
                .rsplit('.')
                .next()
                .is_some_and(|id| id.starts_with(POISON))
            {
                match source {
                    Source::Journal => drop(self.written.insert(subject)),
                    Source::Letters => drop(self.buried.insert(subject)),
                    _ => {}
                }
                return Ok(());
            }
        }
        self.books.line(source, line)
    }
}

/// What was let in or stored is there, and what was no order is not: a sentence that does not hold.
fn answered(line: &Line, sagas: &Sagas) -> Option<String> {
    let there = sagas.get(&line.order_id).is_some();
    let order = line.event_type == "OrderCreated";
    let why = match (line.expected, line.outcome) {
        (Expected::Good, _) if order && line.stored && !there => {
            "was stored in the inbox, but it is not in the journal"
        }
        (Expected::Good, Outcome::Refused) if order => "was refused, but it is a good order",
        (Expected::Bad, Outcome::Ok) => "was let in, but it is none",
        _ => return None,
    };
    Some(format!("{} {why}", line.order_id))
}

/// Writes one JSON object a line.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn lines<T: Serialize>(path: &Path, items: &[T]) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for item in items {
        serde_json::to_writer(&mut file, item)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}
