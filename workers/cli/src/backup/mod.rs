//! A whole system in a folder, and back again, by the server's own snapshots.
//!
//! The streams are not taken at one moment, and need not be. What a consumer acknowledged was written before, somewhere;
//! so a restored system owes nobody anything if whatever it takes for acknowledged is there. Hence:
//!
//! 1. First of all, how far each consumer has acknowledged. Everything that is taken later holds what was written before
//!    those acknowledgements. What they acknowledge afterwards is delivered again after a restore: the guard, the marks and
//!    the keys of effects make that harmless, as they make any redelivery.
//! 2. What a stream gives away, it gives away after writing it elsewhere; so it is taken before that other one. `INBOX`
//!    comes before `EVENTS`, `LETTERS` before `RETRY`.
//! 3. What follows the journal is taken before it, and catches up: `KV_STATE` is filled by the server from where it stands,
//!    the relay of `OUTBOUND` goes on after its last message, and an answer in `REQUESTS` names no event that is not
//!    there.
//! 4. What the journal rests on is taken after it: `SEEN` (an event id belongs to the first order that came with it), and
//!    `KV_KEYS`. A key that was deleted in between has its customer erased, as its deletion had.
//!    `SEEN` has the other direction too: that a plain handler has handled an event is marked after what it did, which may be
//!    in the journal. So it is noted how far `SEEN` had come before the journal is taken, and a restore forgets what was
//!    marked as handled after that ([`marks`]): those events were not acknowledged at 1, and are handled again.
//! 5. `RETRY` and `TIMERS` move messages within themselves: a schedule is gone when it fires. A snapshot during which one
//!    fired is taken again; if it never succeeds undisturbed the manifest says so, and `jetsaga fsck --repair` finds the
//!    orders that nobody carries on.
//!
//! A restore brings one stream after the other, and may be killed in between. So it first leaves a mark on the server, and
//! takes it away last ([`jetsaga::engine::Restoring`]): meanwhile nothing else starts there, and nothing makes what is
//! missing. Repeated, it keeps what is whole and brings the rest; it deletes no stream but its mark.
//!
//! What happened after the backup is lost to the system, but not to the world outside: a charge stands under its key, and an
//! order that is placed again finds it. Read models are built anew, for the journal is another one.

mod api;
mod manifest;
mod mark;
mod marks;
mod restore;
mod take;

use std::{fs, os::unix::fs::DirBuilderExt as _, path::Path, path::PathBuf};

use anyhow::{Context as _, ensure};
use jetsaga::{
    Nats, now,
    subject::{EVENTS, INBOX, KV_KEYS, KV_STATE, LETTERS, OUTBOUND, REQUESTS, RETRY, SEEN, TIMERS},
};
use serde::Serialize;

use crate::output::Output;
use manifest::Manifest;
pub(crate) use restore::{Args as RestoreArgs, run as restore};

/// The order in which streams are taken; see above.
const TAKEN: [&str; 10] = [
    KV_STATE, OUTBOUND, REQUESTS, INBOX, LETTERS, TIMERS, RETRY, EVENTS, SEEN, KV_KEYS,
];

/// Flags of `backup`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// An empty folder, or one that is made. What is in it is as secret as the system: it holds the keys of personal data.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// What is printed.
#[derive(Serialize)]
struct Outcome<'a> {
    folder: String,
    streams: usize,
    consumers: usize,
    messages: u64,
    bytes: u64,
    /// Streams that were never still: `fsck --repair` is wanted after a restore.
    disturbed: Vec<&'a str>,
}

/// Takes the whole system into the folder, while it works. There is a manifest once everything is there.
pub(crate) async fn run(nats: &Nats, args: &Args, out: Output) -> anyhow::Result<()> {
    let folder = &args.folder;
    prepare(folder)?;
    let mut manifest = Manifest::new(now(), &nats.client.server_info().version);
    let mut consumers = Vec::new();
    for stream in TAKEN {
        consumers.push(api::consumers(nats, stream).await?);
    }
    manifest.marked = marks::last(nats).await?;
    for (stream, consumers) in TAKEN.into_iter().zip(consumers) {
        let taken = take::stream(nats, stream, folder).await;
        let taken = taken.with_context(|| format!("stream {stream} is not taken, and the backup is none"))?;
        manifest.streams.push(taken.part(stream, consumers));
    }
    manifest.write(folder)?;
    let streams = &manifest.streams;
    let outcome = Outcome {
        folder: folder.display().to_string(),
        streams: streams.len(),
        consumers: streams.iter().map(|part| part.consumers.len()).sum(),
        messages: streams.iter().map(manifest::Part::messages).sum(),
        bytes: streams.iter().map(|part| part.bytes).sum(),
        disturbed: streams
            .iter()
            .filter(|part| part.disturbed)
            .map(|part| part.name.as_str())
            .collect(),
    };
    out.print(&outcome, text)
}

fn text(outcome: &Outcome<'_>) -> String {
    let Outcome {
        folder,
        streams,
        consumers,
        messages,
        bytes,
        disturbed,
    } = outcome;
    let mut text = format!(
        "{folder}: {streams} streams with {consumers} consumers, {messages} messages in {bytes} bytes"
    );
    if !disturbed.is_empty() {
        text += &format!(
            "\n{} moved all the while: after a restore run `jetsaga fsck --repair`",
            disturbed.join(" and ")
        );
    }
    text
}

/// A folder for us alone, with nothing in it.
fn prepare(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("{shown} cannot be made"))?;
    let mut entries = fs::read_dir(folder).with_context(|| format!("{shown} cannot be read"))?;
    ensure!(
        entries.next().is_none(),
        "{shown} is not empty; a backup takes a folder of its own"
    );
    Ok(())
}
