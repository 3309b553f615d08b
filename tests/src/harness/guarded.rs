use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use jetsaga::{ConnectionArgs, Nats};
use jetsaga_cli::{make_keys, users_configuration};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{Process, jetsaga, signal, until};

/// A nats-server with a configuration of the test's own, on loopback, with a directory that goes with it.
pub struct Guarded {
    child: Child,
    port: u16,
    rest: String,
    dir: TempDir,
}

impl Guarded {
    /// Starts one. What `rest` makes of the server's directory comes into its configuration, behind what every server has.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(rest: impl FnOnce(&Path) -> Result<String>) -> Result<Self> {
        let dir = TempDir::new()?;
        let rest = rest(dir.path())?;
        let (child, port) = spawn(dir.path(), &rest, None).await?;
        // A reload must not ask for another port.
        configure(dir.path(), &rest, Some(port))?;
        Ok(Self {
            child,
            port,
            rest,
            dir,
        })
    }

    /// Starts one that knows the users of the checkout and nobody else.
    ///
    /// # Errors
    /// When it does not start, or a key cannot be made.
    pub async fn with_users() -> Result<Self> {
        Self::start(|dir| {
            let keys = dir.join("keys");
            make_keys(&keys)?;
            std::fs::write(keys.join("users.conf"), users_configuration()?)?;
            Ok("include \"keys/users.conf\"\n".to_owned())
        })
        .await
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The file with the seed of this user.
    pub fn seed(&self, user: &str) -> PathBuf {
        self.dir().join("keys").join(format!("{user}.nk"))
    }

    /// How this user connects.
    pub fn connection(&self, user: &str) -> ConnectionArgs {
        ConnectionArgs {
            nats_nkey_file: Some(self.seed(user)),
            ..ConnectionArgs::to(&self.url())
        }
    }

    /// A connection of this user.
    ///
    /// # Errors
    /// When the server does not let it in.
    pub async fn connect(&self, user: &str) -> Result<Nats> {
        Ok(Nats::connect_with(&self.connection(user), user).await?)
    }

    /// The command `jetsaga` as this user.
    ///
    /// # Errors
    /// When it is not built.
    pub fn command(&self, user: &str, args: &[&str]) -> Result<Command> {
        let mut command = jetsaga()?;
        command
            .args(args)
            .env("JETSAGA_NATS_URL", self.url())
            .env("JETSAGA_NATS_NKEY_FILE", self.seed(user))
            .current_dir(self.dir());
        Ok(command)
    }

    /// Runs that command, which has to succeed, and returns what it said.
    ///
    /// # Errors
    /// When it fails.
    pub async fn run(&self, user: &str, args: &[&str]) -> Result<String> {
        let (code, said) = Process::start(&mut self.command(user, args)?)?.ended().await?;
        ensure!(code == Some(0), "{args:?} ends with {code:?}: {said}");
        Ok(said)
    }

    /// Has it read its configuration anew, and waits until it has.
    ///
    /// # Errors
    /// When it does not say so.
    pub async fn reload(&self) -> Result<()> {
        let before = self.log().matches(RELOADED).count();
        let id = self.child.id().context("the server has ended")?;
        signal("-HUP", &id.to_string()).await?;
        until(RELOADED, async || {
            Ok((self.log().matches(RELOADED).count() > before).then_some(()))
        })
        .await
        .with_context(|| self.log())
    }

    /// Kills it and starts it again, on the same port and store.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.child.kill().await?;
        (self.child, _) = spawn(self.dir.path(), &self.rest, Some(self.port)).await?;
        Ok(())
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir().join(LOG)).unwrap_or_default()
    }
}

const RELOADED: &str = "Reloaded server configuration";
const LOG: &str = "server.log";
const CONFIGURATION: &str = "server.conf";

fn configure(dir: &Path, rest: &str, port: Option<u16>) -> Result<()> {
    let port = port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
    let at = dir.display();
    let text = format!(
        "host: 127.0.0.1\nport: {port}\njetstream {{ store_dir: \"{at}/store\" }}\nlog_file: \"{at}/{LOG}\"\n\
         ports_file_dir: \"{at}\"\n{rest}"
    );
    Ok(std::fs::write(dir.join(CONFIGURATION), text)?)
}

async fn spawn(dir: &Path, rest: &str, port: Option<u16>) -> Result<(Child, u16)> {
    configure(dir, rest, port)?;
    let binary = std::env::var_os("NATS_SERVER").unwrap_or_else(|| "nats-server".into());
    let mut child = Command::new(binary)
        .arg("-c")
        .arg(dir.join(CONFIGURATION))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let id = child.id().context("the server ended at once")?;
    let found = until("the server listens", async || {
        if let Some(status) = child.try_wait()? {
            anyhow::bail!("the server ended with {status}");
        }
        let Ok(text) = std::fs::read(dir.join(format!("nats-server_{id}.ports"))) else {
            return Ok(None);
        };
        let Ok(ports) = serde_json::from_slice::<serde_json::Value>(&text) else {
            return Ok(None); // it is still being written
        };
        let url = ports["nats"][0].as_str().context("the server names no port")?;
        let port = url.rsplit(':').next().context("the server names no port")?;
        Ok(Some(port.parse()?))
    });
    let found = found.await.with_context(|| {
        std::fs::read_to_string(dir.join(LOG)).unwrap_or_else(|_| "it said nothing".to_owned())
    })?;
    Ok((child, found))
}
