use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

use super::{PATIENCE, until};

/// The command-line tool as a process of its own, ended with this value.
pub struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    readers: [JoinHandle<()>; 2],
}

/// The command `jetsaga`, with nothing of this environment that could steer it but what names the nats-server.
///
/// # Errors
/// When it is not built.
pub fn jetsaga() -> Result<Command> {
    built("jetsaga").context("build it first: cargo build -p jetsaga-cli --bin jetsaga")
}

/// The same tool as the tests build it: its workers do what the environment makes a script of.
///
/// # Errors
/// When it is not built.
pub fn fleet() -> Result<Command> {
    built("fleet").context("build it first: cargo build -p jetsaga-tests --bins")
}

fn built(name: &str) -> Result<Command> {
    let test = std::env::current_exe()?;
    let binary: Option<PathBuf> = test.ancestors().nth(2).map(|profile| profile.join(name));
    let binary = binary.filter(|binary| binary.is_file());
    let binary = binary.with_context(|| format!("there is no binary {name}"))?;
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for kept in ["PATH", "NATS_SERVER"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    Ok(command)
}

impl Process {
    /// Starts it, and listens to what it says on both outputs.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let said = Arc::new(Mutex::new(String::new()));
        let out = child.stdout.take().context("no output")?;
        let err = child.stderr.take().context("no errors")?;
        let readers = [
            tokio::spawn(hear(out, said.clone())),
            tokio::spawn(hear(err, said.clone())),
        ];
        Ok(Self { child, said, readers })
    }

    /// What it has said until now.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it says a line with `word` in it, and returns what follows the word there, up to a space.
    ///
    /// # Errors
    /// When it does not say it.
    pub async fn until_said(&self, word: &str) -> Result<String> {
        let heard = until(word, async || {
            let said = self.said();
            let rest = said.lines().find_map(|line| line.split_once(word));
            Ok(rest.map(|(_, rest)| rest.split(' ').next().unwrap_or_default().to_owned()))
        });
        heard.await.with_context(|| self.said())
    }

    /// Its process id.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("it has ended already")
    }

    /// Sends it SIGTERM.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn terminate(&self) -> Result<()> {
        signal("-TERM", &self.id()?.to_string()).await
    }

    /// Waits for its end: the exit code, and all that it said.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ended(mut self) -> Result<(Option<i32>, String)> {
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.with_context(|| format!("it does not end: {}", self.said()))??;
        for reader in &mut self.readers {
            reader.await?;
        }
        Ok((status.code(), self.said()))
    }
}

/// Sends a signal such as `-TERM` to a process, or with a minus before its id to a whole group.
///
/// # Errors
/// When there is no such process.
pub async fn signal(name: &str, id: &str) -> Result<()> {
    let sent = Command::new("kill").args([name, "--", id]).status().await?;
    ensure!(sent.success(), "{id} got no {name}");
    Ok(())
}

async fn hear(pipe: impl AsyncRead + Unpin, said: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_str(&line);
        said.push('\n');
    }
}
