use engine::Heard;

use crate::{
    Rows, Table,
    table::{DeclarationError, check_name},
};

/// A read model's rule: which tables it keeps, and what each event changes in them.
///
/// It is pure: it knows no database, no clock and no position, so it is tested with [`crate::Picture`] alone, runs the
/// same on every database, and a rebuild is the same rule over other tables.
pub trait Projection: Send + Sync + 'static {
    /// Its name, for commands, metrics and positions.
    fn name(&self) -> &'static str;

    /// Raise it when the same events give other rows than before: the tables then have to be rebuilt. A changed
    /// declaration is noticed without it.
    fn version(&self) -> u32 {
        1
    }

    /// The kinds of entities whose events it hears.
    fn kinds(&self) -> &'static [&'static str];

    /// The tables that it keeps. No other projection of the same database has a table of the same name.
    fn tables(&self) -> Vec<Table>;

    /// Says what `heard` changes. Events come in the order of the journal, each once.
    ///
    /// # Errors
    /// When the event cannot be read. Nothing of it is then applied; it is recorded as a problem, with the reason, and
    /// the next one is heard.
    fn hear(&self, heard: &Heard, rows: &mut Rows<'_>) -> anyhow::Result<()>;
}

/// A projection with its declaration read and checked.
pub(crate) struct Declared {
    pub(crate) projection: Box<dyn Projection>,
    pub(crate) tables: Vec<Table>,
    /// All that its rows depend on: another one needs a rebuild.
    pub(crate) fingerprint: String,
}

impl Declared {
    pub(crate) fn new(projection: Box<dyn Projection>) -> Result<Self, DeclarationError> {
        let tables = projection.tables();
        check_name("projection", projection.name())?;
        let mut fingerprint = format!("v{} {:?} ", projection.version(), projection.kinds());
        for table in &tables {
            table.check()?;
            table.spell(&mut fingerprint);
        }
        Ok(Self {
            projection,
            tables,
            fingerprint,
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.projection.name()
    }

    pub(crate) fn hears(&self, kind: &str) -> bool {
        self.projection.kinds().contains(&kind)
    }
}
