//! The binary: environment in, clean stop, and what a SIGKILL leaves.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::{Api, BOUND, Reply, order};

fn command(dir: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jetsaga-provider"));
    command
        .env("PROVIDER_LISTEN", "127.0.0.1:0")
        .env("PROVIDER_LEDGER", dir.path().join("ledger.jsonl"))
        .env("RUST_LOG", "info")
        .env("NO_COLOR", "1")
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn start(dir: &TempDir) -> Result<(Child, Api)> {
    let mut child = command(dir).spawn()?;
    let mut log = BufReader::new(child.stderr.take().context("no log")?).lines();
    let listening = async {
        while let Some(line) = log.next_line().await? {
            if let Some((_, rest)) = line.split_once("address=") {
                return Ok(rest.split_whitespace().next().map(str::to_owned));
            }
        }
        anyhow::Ok(None)
    };
    let address = timeout(BOUND, listening).await??.context("it never listens")?;
    // Somebody has to read the log until the end.
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    Ok((child, Api::new(&format!("http://{address}"))?))
}

/// Charges until the provider is gone; returns what was answered.
async fn charge_on(api: Api, client: u32, answered: Arc<AtomicUsize>) -> Vec<(String, Reply)> {
    let mut replies = Vec::new();
    for n in 0.. {
        let key = format!("k{client}-{n}");
        let Ok(reply) = api.charge(&key, &order(&key)).await else {
            break;
        };
        answered.fetch_add(1, Ordering::Relaxed);
        replies.push((key, reply));
    }
    replies
}

#[tokio::test]
async fn a_sigkill_loses_nothing_which_was_answered() -> Result<()> {
    let dir = TempDir::new()?;
    let (mut child, api) = start(&dir).await?;
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for client in 0..8 {
        clients.spawn(charge_on(api.clone(), client, Arc::clone(&answered)));
    }
    let enough = async {
        while answered.load(Ordering::Relaxed) < 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(BOUND, enough).await?;
    child.kill().await?;
    let replies = clients.join_all().await.concat();
    assert!(replies.len() >= 200);

    let (_child, api) = start(&dir).await?;
    for (key, reply) in replies {
        let again = api.charge(&key, &order(&key)).await?;
        assert_eq!(
            again,
            Reply {
                replayed: true,
                ..reply
            },
            "{key}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn sigterm_is_a_clean_stop() -> Result<()> {
    let dir = TempDir::new()?;
    let (mut child, api) = start(&dir).await?;
    assert_eq!(api.charge("k1", &order("ORD-1")).await?.status, 200);
    let id = child.id().context("it has ended")?.to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .await?
            .success()
    );
    let status = timeout(BOUND, child.wait()).await??;
    assert_eq!(status.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_wrong_variable_is_named_before_anything_starts() -> Result<()> {
    for (variable, value, message) in [
        (
            "PROVIDER_LISTEN",
            "localhost",
            "PROVIDER_LISTEN is localhost: expected an IP address and a port",
        ),
        (
            "PROVIDER_DECLINE_RATE",
            "2",
            "PROVIDER_DECLINE_RATE is 2: expected a probability from 0 to 1",
        ),
        ("PROVIDER_SEED", "-1", "PROVIDER_SEED is -1: expected an integer"),
        (
            "PROVIDER_FSYNC",
            "maybe",
            "PROVIDER_FSYNC is maybe: expected true or false",
        ),
    ] {
        let dir = TempDir::new()?;
        let output = timeout(BOUND, command(&dir).env(variable, value).output()).await??;
        let log = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(2), "{variable}: {log}");
        assert!(log.contains(message), "{log}");
        assert!(!dir.path().join("ledger.jsonl").exists());
    }
    Ok(())
}
