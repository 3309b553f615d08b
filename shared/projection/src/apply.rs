use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::{Entry, Heard};

use crate::{
    DatabaseError, Problem, Rows, batch::Batch, projection::Declared, rows::Change, store::Position,
};

/// What a stretch of the journal makes of one projection.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) name: &'static str,
    pub(crate) generation: i64,
    /// The position that it rests on.
    pub(crate) from: u64,
    /// The position after it.
    pub(crate) to: u64,
    pub(crate) batch: Batch,
    pub(crate) problems: Vec<Problem>,
    /// Events that the projection heard.
    pub(crate) heard: u64,
}

impl Applied {
    /// The same position without any rows, because the database does not take those of these entries.
    pub(crate) fn refused(&self, entries: &[Entry], error: &DatabaseError) -> Self {
        let problem = |entry: &Entry| Problem {
            projection: self.name.to_owned(),
            sequence: entry.sequence,
            subject: entry.subject.clone(),
            reason: error.to_string(),
        };
        Self {
            batch: Batch::default(),
            problems: entries.iter().map(problem).collect(),
            ..self.clone()
        }
    }
}

/// An entry of the journal, read once for all projections.
pub(crate) struct Read {
    sequence: u64,
    subject: String,
    /// Its kind; none if the subject is no event's.
    kind: Option<String>,
    heard: Option<Result<Heard, String>>,
}

impl Read {
    /// Reads `entry` if one of `declared` hears it.
    pub(crate) fn new(entry: &Entry, declared: &[&Declared]) -> Self {
        let kind = entry.entity().map(|(entity, _)| entity.kind().to_string());
        let wanted = declared
            .iter()
            .any(|d| kind.as_deref().is_none_or(|kind| d.hears(kind)));
        Self {
            sequence: entry.sequence,
            subject: entry.subject.clone(),
            kind,
            heard: wanted.then(|| entry.heard().map_err(|error| error.to_string())),
        }
    }

    /// An event that was read already.
    pub(crate) fn heard(heard: Heard) -> Self {
        Self {
            sequence: heard.sequence,
            subject: format!("evt.{}.{}.{}", heard.kind, heard.event.event_type, heard.id),
            kind: Some(heard.kind.to_string()),
            heard: Some(Ok(heard)),
        }
    }
}

/// Applies what comes after the projection's position. The position then is the last sequence read, heard or not.
pub(crate) fn apply(declared: &Declared, position: &Position, entries: &[Read]) -> Applied {
    let mut applied = Applied {
        name: declared.name(),
        generation: position.generation,
        from: position.sequence,
        to: position.sequence,
        batch: Batch::default(),
        problems: Vec::new(),
        heard: 0,
    };
    for entry in entries.iter().filter(|entry| entry.sequence > position.sequence) {
        applied.to = entry.sequence;
        if !entry.kind.as_deref().is_none_or(|kind| declared.hears(kind)) {
            continue;
        }
        applied.heard += 1;
        match changes(declared, entry) {
            Ok(changes) => applied.batch.absorb(&declared.tables, changes),
            Err(reason) => {
                let (projection, sequence) = (declared.name(), entry.sequence);
                tracing::error!(
                    projection,
                    sequence,
                    reason,
                    "an event cannot be read; going on without it"
                );
                applied.problems.push(Problem {
                    projection: projection.to_owned(),
                    sequence,
                    subject: entry.subject.clone(),
                    reason,
                });
            }
        }
    }
    applied
}

/// What one event changes; all of it or nothing.
fn changes(declared: &Declared, entry: &Read) -> Result<Vec<Change>, String> {
    let heard = match &entry.heard {
        Some(Ok(heard)) => heard,
        Some(Err(reason)) => return Err(reason.clone()),
        None => return Err("it was not read".to_owned()),
    };
    let mut rows = Rows::of(&declared.tables);
    match catch_unwind(AssertUnwindSafe(|| declared.projection.hear(heard, &mut rows))) {
        Ok(Ok(())) => rows.done(),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(_) => Err("the projection panicked over it".to_owned()),
    }
}
