use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use jetsaga::{
    Nats,
    engine::replicas,
    subject::{EVENTS, INBOX, KV_KEYS, KV_STATE, LETTERS, OUTBOUND, REQUESTS, RETRY, SEEN, TIMERS},
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::{
    api,
    manifest::{Manifest, Part},
    mark::Mark,
    marks,
};
use crate::{
    output::{Output, say},
    record,
};

/// Flags of `restore`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// The folder of a backup.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// Replicas of every stream, 1, 3 or 5; as many as there were, if it is not said.
    #[arg(long, env = "JETSAGA_REPLICAS", value_parser = replicas)]
    replicas: Option<usize>,
}

/// What is printed, after a failure too.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    /// The streams that are whole, with their messages.
    restored: Vec<Restored>,
    consumers: usize,
    /// Events that were handled while the backup was taken, and are handled again.
    handled_again: u64,
    /// What went wrong after that.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    /// What is to be done now.
    advice: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Restored {
    stream: String,
    messages: u64,
    last_sequence: u64,
    /// An attempt before this one had restored it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    before: bool,
}

/// The journal first, for the bucket is filled from it; the consumers after all streams.
const RESTORED: [&str; 10] = [
    EVENTS, KV_KEYS, SEEN, TIMERS, RETRY, LETTERS, REQUESTS, OUTBOUND, KV_STATE, INBOX,
];
/// How often the bucket may be found standing still, for two seconds each time.
const BEGINNING: u32 = 15;
/// How long a stream may take until it shows what was restored, or until a server gives up a snapshot that stopped coming: it
/// waits for five seconds. (A cluster of 2.15.1 gives up the snapshot and keeps the name.)
const VACATED: Duration = Duration::from_secs(10);
/// How long nobody may answer for a stream.
const SILENCE: Duration = Duration::from_secs(5);
/// When to try again what the servers cannot do yet.
const AGAIN: Duration = Duration::from_millis(200);
/// As the server sends them.
const PIECE: usize = 128 * 1024;

/// Puts a backup on a server that has none of its streams, or goes on with the same restore if that was begun there and is
/// not complete. Nothing is done unless every file is as it was written.
pub(crate) async fn run(nats: &Nats, args: &Args, out: Output) -> anyhow::Result<()> {
    let manifest = Manifest::verified(&args.folder)?;
    let parts = in_order(&manifest)?;
    begin(nats, args, &manifest, &parts).await?;
    let mut outcome = Outcome::default();
    match put(nats, args, &manifest, &parts, &mut outcome).await {
        Ok(()) => {
            outcome.advice = advice(&manifest);
            out.print(&outcome, text)
        }
        Err(error) => {
            outcome.failed = Some(format!("{error:#}"));
            outcome.advice = vec![
                "repeat the same restore, and it goes on where it was; nothing else starts on this server before it is \
                 complete. To give it up, take an empty server"
                    .to_owned(),
            ];
            if out.json {
                say(&serde_json::to_string(&outcome)?)?;
            }
            let whole: Vec<_> = outcome.restored.iter().map(|it| it.stream.as_str()).collect();
            let whole = if whole.is_empty() {
                "nothing".to_owned()
            } else {
                whole.join(", ")
            };
            Err(error.context(format!(
                "the restore is not complete: restored before were {whole}, and {} consumers; {}",
                outcome.consumers,
                outcome.advice.concat()
            )))
        }
    }
}

/// Leaves the mark of this restore, unless it is there. No server that is in use is marked.
async fn begin(nats: &Nats, args: &Args, manifest: &Manifest, parts: &[&Part]) -> anyhow::Result<()> {
    let mark = Mark::of(manifest, args.replicas);
    if mark.is_set(nats).await? {
        return Ok(());
    }
    vacant(nats).await?;
    let journal = parts.iter().find(|part| part.name == EVENTS);
    let config = journal.map_or(Value::Null, |part| replicated(&part.config, args.replicas));
    mark.set(nats, &config["num_replicas"]).await
}

/// The parts, each in its turn.
fn in_order(manifest: &Manifest) -> anyhow::Result<Vec<&Part>> {
    if let Some(unknown) = manifest
        .streams
        .iter()
        .find(|part| !RESTORED.contains(&&*part.name))
    {
        bail!("the backup has a stream {}, which is none of ours", unknown.name);
    }
    let part = |name: &&str| {
        let found = manifest.streams.iter().find(|part| part.name == *name);
        found.with_context(|| format!("the backup has no stream {name}"))
    };
    RESTORED.iter().map(part).collect()
}

/// Fails if any of the streams is there.
async fn vacant(nats: &Nats) -> anyhow::Result<()> {
    let mut there = Vec::new();
    for stream in RESTORED {
        there.extend(api::state(nats, stream).await?.map(|_| stream));
    }
    ensure!(
        there.is_empty(),
        "the server has {} already; a backup is restored to one that has none of its streams. Nothing was changed",
        there.join(", ")
    );
    Ok(())
}

async fn put(
    nats: &Nats,
    args: &Args,
    manifest: &Manifest,
    parts: &[&Part],
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    for part in parts {
        let restored = stream(nats, args, part).await;
        outcome
            .restored
            .push(restored.with_context(|| format!("stream {}, which may be there in part", part.name))?);
    }
    outcome.handled_again = marks::forget(nats, manifest.marked).await?;
    for part in parts {
        for consumer in &part.consumers {
            let (stream, name) = (&part.name, &consumer.name);
            let what = || format!("consumer {name} on {stream}");
            let wish = json!({
                "stream_name": stream, "config": replicated(&consumer.config, args.replicas), "action": "create",
            });
            let request = format!("CONSUMER.CREATE.{stream}.{name}");
            api::done_soon(nats, &request, &wish).await.with_context(what)?;
            if consumer.acknowledged > 0 {
                let next = json!({ "seq": consumer.acknowledged + 1 });
                let request = format!("CONSUMER.RESET.{stream}.{name}");
                api::done_soon(nats, &request, &next).await.with_context(what)?;
            }
            outcome.consumers += 1;
        }
    }
    let journal = parts.iter().find(|part| part.name == EVENTS);
    until_filled(nats, journal.map_or(0, |part| part.last())).await?;
    Mark::clear(nats).await
}

/// Waits until the bucket has what the journal has. The server takes the journal for another stream than the one that it
/// had filled the bucket from, and begins anew after a few seconds.
async fn until_filled(nats: &Nats, last: u64) -> anyhow::Result<()> {
    for _ in 1..BEGINNING {
        if record::filled(nats, last).await.is_ok() {
            return Ok(());
        }
    }
    record::filled(nats, last).await
}

/// Restores one stream from its snapshot, and sees that it has what it had.
async fn stream(nats: &Nats, args: &Args, part: &Part) -> anyhow::Result<Restored> {
    let request = format!("STREAM.RESTORE.{}", part.name);
    let wish = json!({ "config": replicated(&part.config, args.replicas), "state": part.state });
    let (elected, vacated) = (Instant::now() + api::ELECTION, Instant::now() + VACATED);
    let begun = loop {
        if let Some(before) = standing(nats, part).await? {
            return Ok(before);
        }
        let answer = api::ask(nats, &request, &wish).await?;
        match api::refused(&answer) {
            None => break answer,
            Some(_) if api::is_placement(&answer) && Instant::now() < elected => sleep(AGAIN).await,
            Some(_) if api::is_taken(&answer) && Instant::now() < vacated => sleep(AGAIN).await,
            Some(why) if api::is_taken(&answer) => bail!("{request}: {why}; {}", stuck(part)),
            Some(why) => bail!("{request}: {why}"),
        }
    };
    let to = begun["deliver_subject"]
        .as_str()
        .context("the server takes no snapshot")?;
    send(nats, to, &args.folder.join(&part.file)).await?;
    let found = api::done_soon(nats, &format!("STREAM.INFO.{}", part.name), &Value::Null).await?;
    whole(part, &found["state"], false)
}

/// The stream as an attempt before left it; `None` if there is none.
async fn standing(nats: &Nats, part: &Part) -> anyhow::Result<Option<Restored>> {
    let deadline = Instant::now() + VACATED;
    loop {
        let found = timeout(SILENCE, api::state(nats, &part.name)).await;
        let wrong = match found {
            Err(_) => anyhow!("nobody answers for it; {}", stuck(part)),
            Ok(Ok(None)) => return Ok(None),
            Ok(Ok(Some(state))) => match whole(part, &state, true) {
                Ok(before) => return Ok(Some(before)),
                Err(wrong) => wrong.context(format!(
                    "it was there already, and is not what was taken; {}",
                    stuck(part)
                )),
            },
            Ok(Err(error)) => error,
        };
        if Instant::now() > deadline {
            return Err(wrong);
        }
        sleep(AGAIN).await;
    }
}

/// What to do about a stream that is neither there nor to be restored.
fn stuck(part: &Part) -> String {
    format!(
        "a cluster may keep its place for a snapshot that stopped coming: have somebody delete it who may \
         (`nats stream rm {}`), or take empty servers",
        part.name
    )
}

/// Whether a stream in this state has what was taken. Only the journal never loses a message.
fn whole(part: &Part, state: &Value, before: bool) -> anyhow::Result<Restored> {
    let number = |name: &str| state[name].as_u64().unwrap_or(0);
    let (messages, last) = (number("messages"), number("last_seq"));
    let sealed = part.name == EVENTS;
    ensure!(
        last >= part.last() && (!sealed || messages >= part.messages()),
        "it has {messages} messages up to {last}; {} up to {} were taken",
        part.messages(),
        part.last()
    );
    Ok(Restored {
        stream: part.name.clone(),
        messages,
        last_sequence: last,
        before,
    })
}

/// Sends a snapshot in pieces, each when the one before it was taken; an empty one ends it.
async fn send(nats: &Nats, to: &str, path: &Path) -> anyhow::Result<()> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let mut sent = 0_u64;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let read = file.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        let answer = api::send(nats, to.to_owned(), Bytes::from(piece)).await?;
        if let Some(why) = api::refused(&answer) {
            bail!("the server refuses the snapshot after {sent} bytes: {why}");
        }
        sent += read as u64;
        if read == 0 {
            return Ok(());
        }
    }
}

/// The configuration, with this many replicas where it has any number of its own.
fn replicated(config: &Value, replicas: Option<usize>) -> Value {
    let mut config = config.clone();
    if let (Some(replicas), Some(named)) = (replicas, config.get_mut("num_replicas"))
        && named.as_u64() != Some(0)
    {
        *named = replicas.into();
    }
    config
}

fn advice(manifest: &Manifest) -> Vec<String> {
    let moved = manifest.streams.iter().any(|part| part.disturbed);
    let check = if moved {
        "run `jetsaga fsck --repair`: retries or deadlines moved while the backup was taken"
    } else {
        "run `jetsaga fsck`"
    };
    vec![
        check.to_owned(),
        format!(
            "orders that came after {} have to be placed again; under their own ids nothing happens twice",
            manifest.taken_at
        ),
        "give projector and gateway an empty database: they refuse one that was filled from the journal before".to_owned(),
    ]
}

fn text(outcome: &Outcome) -> String {
    let streams = outcome.restored.iter().map(|it| {
        let what = if it.before { "found   " } else { "restored" };
        format!(
            "{what} {:<9} {} messages, the last is {}",
            it.stream, it.messages, it.last_sequence
        )
    });
    let consumers = format!(
        "restored {} consumers; {} events that were handled while the backup was taken are handled again",
        outcome.consumers, outcome.handled_again
    );
    let lines: Vec<String> = streams
        .chain([consumers])
        .chain(outcome.advice.iter().cloned())
        .collect();
    lines.join("\n")
}
