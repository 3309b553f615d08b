use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use projection::Database;
use tokio::time::sleep;

/// How soon another address in a file counts.
const REREAD: Duration = Duration::from_secs(5);

/// What an address of a database is.
pub const ADDRESS: &str = "sqlite:PATH, such as sqlite:jetsaga.db, or postgres://USER:PASSWORD@HOST/NAME";

/// `text`, if it is the address of a database.
///
/// # Errors
/// When it is none. Nothing of it is said: it may hold a password.
pub fn address(text: &str) -> Result<String, String> {
    let rest = ["sqlite:", "postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    match rest {
        Some(rest) if !rest.is_empty() => Ok(text.to_owned()),
        Some(_) => Err("it ends where the place should begin".to_owned()),
        None => Err("it begins with neither sqlite: nor postgres://".to_owned()),
    }
}

/// The address of a database that `file` holds: `sqlite:PATH` or `postgres://…`, alone, with or without a line break.
///
/// # Errors
/// When the file cannot be read, or holds anything else. Nothing of what it holds is said: it may be a password.
pub fn address_in(file: &Path) -> anyhow::Result<String> {
    let named = || format!("DATABASE_URL_FILE {} cannot be read", file.display());
    let text = std::fs::read_to_string(file).with_context(named)?;
    let line = text.trim_end_matches(['\r', '\n']);
    let alone = (!line.contains(char::is_whitespace)).then_some(line);
    alone
        .ok_or_else(|| "it holds white space".to_owned())
        .and_then(address)
        .map_err(|why| {
            anyhow::anyhow!(
                "DATABASE_URL_FILE {} holds no address: {why}; it takes one line: {ADDRESS}",
                file.display()
            )
        })
}

/// Has `database` go to the address that `file` holds, whenever it changes, for ever: another password needs no restart. A
/// file that cannot be read changes nothing, and is told once.
pub async fn follow_address(file: PathBuf, database: Database) {
    let (mut known, mut failing) = (address_in(&file).ok(), false);
    loop {
        sleep(REREAD).await;
        let read = address_in(&file);
        let changed = match &read {
            Ok(address) if known.as_ref() != Some(address) => database.readdress(address).map(|()| true),
            _ => Ok(false),
        };
        let trouble = match (&read, changed) {
            (Err(error), _) => Some(format!("{error:#}")),
            (_, Err(error)) => Some(error.to_string()),
            (Ok(address), Ok(changed)) => {
                if changed {
                    tracing::info!(file = %file.display(), "the address of the database was read again");
                    known = Some(address.clone());
                }
                None
            }
        };
        if let Some(why) = trouble.as_ref().filter(|_| !failing) {
            tracing::error!("the address of the database stays as it was: {why}");
        }
        failing = trouble.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_is_no_part_of_it_and_what_is_wrong_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            address_in(&file).map_err(|error| format!("{error:#}"))
        };
        let address = "postgres://jetsaga:secret@db/jetsaga";
        assert_eq!(read(&format!("{address}\n")).as_deref(), Ok(address));
        assert_eq!(
            read("sqlite:/data/jetsaga.db").as_deref(),
            Ok("sqlite:/data/jetsaga.db")
        );
        for wrong in [
            "",
            "\n",
            "postgres://",
            "mysql://a:secret@b/c",
            "postgres://a:secret@b/c\npostgres://d\n",
        ] {
            let why = read(wrong).unwrap_err();
            assert!(
                why.contains("it takes one line") && !why.contains("secret"),
                "{wrong:?}: {why}"
            );
        }
        std::fs::remove_file(&file).unwrap();
        assert!(address_in(&file).is_err());
    }
}
