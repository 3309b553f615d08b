use std::{fs::File, io::Write as _, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures_util::StreamExt as _;
use jetsaga::{
    Nats, Timestamp, now,
    subject::{RETRY, TIMERS},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::{sleep, timeout};

use super::{
    api,
    manifest::{Consumer, Part, hex},
};

/// A stream as it was taken.
pub(super) struct Taken {
    file: String,
    bytes: u64,
    sha256: String,
    taken_at: Timestamp,
    disturbed: bool,
    config: Value,
    state: Value,
}

/// How long the server may be silent in the middle of a snapshot.
const SILENCE: Duration = Duration::from_secs(30);
/// How often a snapshot is taken within which messages moved.
const TRIES: u32 = 20;

/// Takes a stream without its consumers into a file of its own, through to the disk.
pub(super) async fn stream(nats: &Nats, stream: &str, folder: &Path) -> anyhow::Result<Taken> {
    let moves = stream == RETRY || stream == TIMERS;
    let mut tries = 0;
    loop {
        let before = removed(nats, stream).await?;
        let mut taken = snapshot(nats, stream, folder).await?;
        tries += 1;
        if !moves || removed(nats, stream).await? == before {
            return Ok(taken);
        }
        if tries == TRIES {
            taken.disturbed = true;
            return Ok(taken);
        }
        sleep(Duration::from_millis(u64::from(fastrand::u8(10..60)))).await;
    }
}

/// How many messages it has lost since it was made.
async fn removed(nats: &Nats, stream: &str) -> anyhow::Result<Option<u64>> {
    let state = api::state(nats, stream).await?;
    let state = state.with_context(|| format!("there is no stream {stream}"))?;
    let numbers = state["last_seq"].as_u64().zip(state["messages"].as_u64());
    Ok(numbers.map(|(last, messages)| last.saturating_sub(messages)))
}

/// The server sends the snapshot in pieces, and goes on as they are answered; an empty one ends it, with a status.
async fn snapshot(nats: &Nats, stream: &str, folder: &Path) -> anyhow::Result<Taken> {
    let name = format!("{stream}.snapshot");
    let mut file = File::create(folder.join(&name)).with_context(|| format!("{name} cannot be written"))?;
    let inbox = nats.client.new_inbox();
    let mut pieces = nats.client.subscribe(inbox.clone()).await?;
    let taken_at = now();
    let wish = json!({ "deliver_subject": inbox, "no_consumers": true, "jsck": true });
    let begun = api::done(nats, &format!("STREAM.SNAPSHOT.{stream}"), &wish).await?;
    let (mut bytes, mut digest) = (0, Sha256::new());
    loop {
        let piece = timeout(SILENCE, pieces.next()).await;
        let piece = piece
            .ok()
            .flatten()
            .with_context(|| format!("the server stopped after {bytes} bytes"))?;
        if piece.payload.is_empty() {
            let status = piece.status.map_or(204, |status| status.as_u16());
            let why = piece.description.as_deref().unwrap_or_default();
            ensure!(
                status == 204,
                "the server gave up after {bytes} bytes: {status} {why}"
            );
            break;
        }
        if let Some(reply) = piece.reply {
            nats.client.publish(reply, Bytes::new()).await?;
        }
        bytes += piece.payload.len() as u64;
        digest.update(&piece.payload);
        file.write_all(&piece.payload)
            .with_context(|| format!("{name} cannot be written"))?;
    }
    file.sync_all()
        .with_context(|| format!("{name} is not on the disk"))?;
    Ok(Taken {
        file: name,
        bytes,
        sha256: hex(&digest.finalize()),
        taken_at,
        disturbed: false,
        config: begun["config"].clone(),
        state: begun["state"].clone(),
    })
}

impl Taken {
    /// What the manifest says of it.
    pub(super) fn part(self, stream: &str, consumers: Vec<Consumer>) -> Part {
        let Self {
            file,
            bytes,
            sha256,
            taken_at,
            disturbed,
            config,
            state,
        } = self;
        Part {
            name: stream.to_owned(),
            file,
            bytes,
            sha256,
            taken_at,
            disturbed,
            config,
            state,
            consumers,
        }
    }
}
