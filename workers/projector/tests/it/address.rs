//! Where the database is, and what is said when nobody is there.

use std::path::Path;

use anyhow::Result;
use projection::Database;

use crate::harness::{Place, Site};

/// A password is replaced in its file while a projector works: the old user is locked out, and nothing is restarted.
#[tokio::test(flavor = "multi_thread")]
async fn another_address_in_the_file_counts_without_a_restart() {
    if let Some(place) = Place::postgres().unwrap() {
        replaced(place).await.unwrap();
    }
}

async fn replaced(place: Place) -> Result<()> {
    let mut site = Site::new(place).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("url");
    let database = Database::open(&site.place.url()).await?;
    moves_to("first", &database, &site, &file).await?;
    let mut projector = site.process_at(&file)?;
    site.orders(5).await?;
    let store = site.store().await?;
    site.caught_up(&store).await?;

    database.read("ALTER ROLE first NOLOGIN", &[]).await?;
    database
        .read(
            "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE usename = 'first'",
            &[],
        )
        .await?;
    moves_to("second", &database, &site, &file).await?;
    site.orders(5).await?;
    site.caught_up(&store).await?;
    assert!(projector.try_wait()?.is_none(), "it is the same process");
    projector.kill()?;
    projector.wait()?;
    Ok(())
}

/// Lets a user of this name in, and writes their address into the file.
async fn moves_to(user: &str, database: &Database, site: &Site, file: &Path) -> Result<()> {
    let role = format!("CREATE ROLE {user} SUPERUSER LOGIN");
    database.read(&role, &[]).await?;
    let url = site.place.url();
    std::fs::write(file, url.replace("//postgres@", &format!("//{user}@")))?;
    Ok(())
}

#[tokio::test]
async fn nobody_there_is_told_with_the_place_and_without_the_password() {
    let url = "postgres://u:s3cret@127.0.0.1:1/db?password=s3cret";
    let error = Database::open(url).await.unwrap_err().to_string();
    for part in ["127.0.0.1:1", "refused"] {
        assert!(error.contains(part), "{error}");
    }
    let bogus = "postgres://u:p@s3cret@127.0.0.1:1/db?password=s3cret&sslmode=bogus";
    let bogus = Database::open(bogus).await.unwrap_err().to_string();
    assert!(
        bogus.contains("postgres://…") && bogus.contains("ssl_mode"),
        "{bogus}"
    );
    assert!(
        !error.contains("s3cret") && !bogus.contains("s3cret"),
        "{error} {bogus}"
    );
}
