//! The topology as resources of NACK (`jetstream.nats.io/v1beta2`), for teams that keep streams and consumers in their
//! cluster's declarations.
//!
//! Every setting is said in NACK's word for it, or refused: none is left out in silence. Three words are ours alone:
//! - `maxAge: 0s` where a stream forgets nothing. Left out, NACK's control loop takes its library's default: a year.
//! - `filterSubject` where a consumer has one filter. NACK sends it so whichever way it is written.
//! - `preventDelete`: who deletes the resource does not delete the journal.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use jetsaga::{
    Topology,
    engine::{is_unset, replicas},
};
use serde_json::{Map, Value, json};

use crate::{
    output::{self, Output},
    system,
};

/// Flags of `topology nack`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Replicas of every stream: 1, 3 or 5.
    #[arg(long, default_value = "3", value_parser = replicas)]
    replicas: usize,
    /// Write streams.yaml and consumers.yaml into this folder instead of printing them.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

/// Prints or writes them.
pub(crate) fn run(args: &Args, out: Output) -> anyhow::Result<()> {
    let topology = system::written(args.replicas)?;
    let documents = documents(&topology)?;
    let Some(folder) = &args.write else {
        return out.print(&resources(&topology)?, |_| {
            let texts: Vec<&str> = documents.iter().map(|(_, text)| text.trim_end()).collect();
            texts.join("\n---\n")
        });
    };
    for (name, text) in &documents {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    output::say(&format!(
        "streams.yaml and consumers.yaml written to {}",
        folder.display()
    ))
}

/// The two files by their names: streams, then consumers.
///
/// # Errors
/// As [`resources`].
pub fn documents(topology: &Topology) -> anyhow::Result<Vec<(String, String)>> {
    let resources = resources(topology)?;
    let of = |kind: &str| {
        let all = resources.iter().filter(|resource| resource["kind"] == kind);
        let texts: Vec<String> = all.map(|resource| yaml(resource, 0)).collect();
        format!(
            "# Made by `jetsaga topology nack --write k8s/nack`.\n{}",
            texts.join("---\n")
        )
    };
    Ok(vec![
        ("streams.yaml".to_owned(), of("Stream")),
        ("consumers.yaml".to_owned(), of("Consumer")),
    ])
}

/// Every stream and consumer as a resource, streams first.
///
/// # Errors
/// Names the setting that NACK has no word for.
pub fn resources(topology: &Topology) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    for stream in &topology.streams {
        let mut spec = spec(&stream.name, &serde_json::to_value(stream)?, &STREAM)?;
        spec.entry("maxAge").or_insert_with(|| "0s".into());
        all.push(resource("Stream", &stream.name, spec));
    }
    for (stream, consumer) in &topology.consumers {
        let name = consumer.durable_name.as_deref().unwrap_or_default();
        let mut spec = spec(name, &serde_json::to_value(consumer)?, &CONSUMER)?;
        spec.insert("streamName".to_owned(), (*stream).into());
        let one = spec
            .get("filterSubjects")
            .and_then(|filters| match filters.as_array()?.as_slice() {
                [only] => Some(only.clone()),
                _ => None,
            });
        if let Some(only) = one {
            spec.remove("filterSubjects");
            spec.insert("filterSubject".to_owned(), only);
        }
        all.push(resource("Consumer", &format!("{name}-{stream}"), spec));
    }
    Ok(all)
}

/// What the server calls it, what NACK calls it, and how its value is said.
type Word = (&'static str, &'static str, fn(&Value) -> Option<Value>);

const STREAM: [Word; 17] = [
    ("name", "name", same),
    ("subjects", "subjects", same),
    ("retention", "retention", same),
    ("max_consumers", "maxConsumers", same),
    ("max_msgs", "maxMsgs", same),
    ("max_msgs_per_subject", "maxMsgsPerSubject", same),
    ("max_bytes", "maxBytes", same),
    ("max_age", "maxAge", duration),
    ("max_msg_size", "maxMsgSize", same),
    ("storage", "storage", same),
    ("discard", "discard", same),
    ("num_replicas", "replicas", same),
    ("allow_direct", "allowDirect", same),
    ("deny_delete", "denyDelete", same),
    ("deny_purge", "denyPurge", same),
    ("sources", "sources", sources),
    ("allow_rollup_hdrs", "allowRollup", same),
];
/// The words that came with NACK 0.21: message schedules, and lifetimes of messages.
const SCHEDULES: [Word; 2] = [
    ("allow_msg_schedules", "allowMsgSchedules", same),
    ("allow_msg_ttl", "allowMsgTtl", same),
];
const CONSUMER: [Word; 8] = [
    ("durable_name", "durableName", same),
    ("deliver_policy", "deliverPolicy", same),
    ("ack_policy", "ackPolicy", same),
    ("ack_wait", "ackWait", duration),
    ("max_deliver", "maxDeliver", same),
    ("max_ack_pending", "maxAckPending", same),
    ("replay_policy", "replayPolicy", same),
    ("filter_subjects", "filterSubjects", same),
];

/// Every setting that is set, in NACK's words.
fn spec(name: &str, config: &Value, words: &[Word]) -> anyhow::Result<Map<String, Value>> {
    let config = config.as_object().context("a configuration is an object")?;
    let mut spec = Map::new();
    for (setting, value) in config.iter().filter(|(_, value)| !is_unset(value)) {
        let word = words
            .iter()
            .chain(&SCHEDULES)
            .find(|(server, ..)| server == setting);
        let said = word.and_then(|(_, nack, say)| Some(((*nack).to_owned(), say(value)?)));
        let said = said.with_context(|| format!("{name}: NACK has no word for {setting} {value}"))?;
        spec.extend([said]);
    }
    spec.insert("preventDelete".to_owned(), true.into());
    Ok(spec)
}

fn resource(kind: &str, name: &str, spec: Map<String, Value>) -> Value {
    let name = name.to_ascii_lowercase().replace('_', "-");
    json!({
        "apiVersion": "jetstream.nats.io/v1beta2",
        "kind": kind,
        "metadata": {"name": name, "namespace": "jetsaga"},
        "spec": spec,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "one of several ways to say a value")]
fn same(value: &Value) -> Option<Value> {
    Some(value.clone())
}

/// Nanoseconds as Go writes a duration, in whole seconds.
fn duration(value: &Value) -> Option<Value> {
    let whole = Duration::from_nanos(value.as_u64()?);
    (whole.subsec_nanos() == 0).then(|| format!("{}s", whole.as_secs()).into())
}

/// Sources by name with their subject transforms: we set nothing else on them.
fn sources(value: &Value) -> Option<Value> {
    let said = value.as_array()?.iter().map(|source| {
        let set = source.as_object()?.iter().filter(|(_, value)| !is_unset(value));
        let mut said = Map::new();
        for (setting, value) in set {
            match setting.as_str() {
                "name" => said.insert("name".to_owned(), value.clone()),
                "subject_transforms" => said.insert("subjectTransforms".to_owned(), transforms(value)?),
                _ => return None,
            };
        }
        Some(Value::Object(said))
    });
    said.collect::<Option<Vec<_>>>().map(Value::Array)
}

fn transforms(value: &Value) -> Option<Value> {
    let all = value.as_array()?.iter();
    let said = all.map(|it| Some(json!({"source": it["src"].as_str()?, "dest": it["dest"].as_str()?})));
    said.collect::<Option<Vec<_>>>().map(Value::Array)
}

/// Block style, keys in the order of their names. Text that YAML could take for something else stands in quotes.
fn yaml(value: &Value, depth: usize) -> String {
    let pad = " ".repeat(depth);
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| format!("{pad}{key}:{}", under(value, depth)))
            .collect(),
        Value::Array(list) => list
            .iter()
            .map(|item| match yaml(item, depth + 2) {
                text if item.is_object() => format!("{pad}- {}", text.trim_start()),
                text => format!("{pad}- {text}\n"),
            })
            .collect(),
        Value::String(text) if plain(text) => text.clone(),
        scalar => scalar.to_string(),
    }
}

/// What stands after a key and its colon.
fn under(value: &Value, depth: usize) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => format!("\n{}", yaml(value, depth + 2)),
        scalar => format!(" {}\n", yaml(scalar, 0)),
    }
}

/// Letters first, and nothing in it that means something to YAML: never a number, a duration or a wildcard.
fn plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str())
}
