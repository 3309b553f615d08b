use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

/// A database of a test's own, which goes with this value.
pub(crate) enum Place {
    Sqlite(TempDir),
    Postgres(Cluster),
}

/// A PostgreSQL on a socket of its own.
pub(crate) struct Cluster {
    postgres: Child,
    dir: TempDir,
}

impl Place {
    pub(crate) fn sqlite() -> Result<Self> {
        Ok(Self::Sqlite(TempDir::new()?))
    }

    /// None if this machine has no PostgreSQL and whoever runs the tests said that this is no failure.
    pub(crate) fn postgres() -> Result<Option<Self>> {
        match binaries() {
            Some(binaries) => Ok(Some(Self::Postgres(Cluster::start(&binaries)?))),
            None if std::env::var("JETSAGA_TEST_POSTGRES").is_ok_and(|choice| choice == "skip") => {
                println!("SKIPPED: there is no PostgreSQL here, and JETSAGA_TEST_POSTGRES=skip");
                Ok(None)
            }
            None => bail!(
                "there is no PostgreSQL here: install postgresql (15 or newer), name the folder of its initdb with \
                 PG_BIN, or leave these tests out with JETSAGA_TEST_POSTGRES=skip"
            ),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(dir) => format!("sqlite:{}", dir.path().join("read.db").display()),
            Self::Postgres(cluster) => {
                format!(
                    "postgres://postgres@localhost/postgres?host={}",
                    cluster.dir.path().display()
                )
            }
        }
    }

    pub(crate) const fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }
}

impl Cluster {
    fn start(binaries: &Path) -> Result<Self> {
        let dir = TempDir::new()?;
        let data = dir.path().join("data");
        if is_root()? {
            let owned = Command::new("chown").arg("postgres").arg(dir.path()).status()?;
            ensure!(owned.success(), "there is no user postgres to run PostgreSQL as");
        }
        let made = as_postgres(&binaries.join("initdb"))?
            .args([
                "--auth=trust",
                "--username=postgres",
                "--no-sync",
                "--encoding=UTF8",
                "--pgdata",
            ])
            .arg(&data)
            .output()?;
        ensure!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let postgres = as_postgres(&binaries.join("postgres"))?
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(dir.path())
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                "-c",
                "max_connections=50",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut cluster = Self { postgres, dir };
        let limit = Instant::now() + Duration::from_secs(30);
        while !cluster.answers(binaries)? {
            if let Some(status) = cluster.postgres.try_wait()? {
                bail!("postgres ended with {status}");
            }
            ensure!(Instant::now() < limit, "postgres does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(cluster)
    }

    fn answers(&self, binaries: &Path) -> Result<bool> {
        let mut asked = Command::new(binaries.join("pg_isready"));
        asked.arg("-q").arg("-h").arg(self.dir.path());
        Ok(asked.status()?.success())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let id = self.postgres.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &id]).status(); // it may be gone
        let _ = self.postgres.wait();
    }
}

/// Where initdb is: `PG_BIN`, or the newest that Debian has installed.
fn binaries() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("PG_BIN") {
        return Some(PathBuf::from(named));
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    found.sort();
    found.pop()
}

/// PostgreSQL does not run as root. It ends when this process does.
fn as_postgres(program: &Path) -> Result<Command> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root()? {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.arg(program).current_dir("/").env("LC_ALL", "C");
    Ok(command)
}

fn is_root() -> Result<bool> {
    let id = Command::new("id").arg("-u").output().context("id -u")?;
    Ok(id.stdout == b"0\n")
}
