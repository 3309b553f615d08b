//! The resources for NACK say what the topology says, and what NACK makes of them is what the workers want to find.

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;
use jetsaga::{Nats, Topology};
use jetsaga_cli::{NatsServer, nack_documents, nack_resources, system_topology, written_topology};
use serde_json::{Map, Value, json};

/// `jetsaga topology nack --write k8s/nack` makes them anew.
#[test]
fn the_files_are_what_the_topology_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s/nack");
    for (name, text) in nack_documents(&written_topology(3).unwrap()).unwrap() {
        let kept = fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(
            kept == text,
            "k8s/nack/{name} is not what the topology says; run `jetsaga topology nack --write k8s/nack`"
        );
    }
}

/// A setting that NACK cannot say stops it, instead of being left out.
#[test]
fn a_setting_without_a_word_is_refused_by_name() {
    let mut topology = Topology::new(3);
    topology.streams[0].mirror_direct = true;
    let why = nack_resources(&topology).unwrap_err().to_string();
    assert_eq!(why, "EVENTS: NACK has no word for mirror_direct true");
    let mut topology = written_topology(3).unwrap();
    topology.consumers[0].1.headers_only = true;
    let why = nack_resources(&topology).unwrap_err().to_string();
    assert!(why.ends_with("NACK has no word for headers_only true"), "{why}");
}

/// A real server holds what NACK 0.22 makes of the resources, and the workers find no difference.
#[tokio::test]
async fn what_nack_makes_is_what_the_workers_want() {
    let store = tempfile::tempdir().unwrap();
    let server = NatsServer::start(store.path(), 0).await.unwrap();
    let nats = Nats::connect(&server.url(), "nack").await.unwrap();
    let written = written_topology(1).unwrap();
    let all = nack_resources(&written).unwrap();
    for resource in &all {
        let (subject, request) = made(resource).unwrap();
        let answer = nats
            .client
            .request(subject, request.to_string().into())
            .await
            .unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert!(answer.get("error").is_none(), "{resource}: {answer}");
    }
    let wanted = system_topology(&nats, 1).await.unwrap();
    assert_eq!(all.len(), wanted.streams.len() + wanted.consumers.len());
    assert_eq!(wanted.diff(&nats).await.unwrap(), []);
    let (created, differ) = wanted.ensure(&nats).await.unwrap();
    assert_eq!((created, differ), (Vec::new(), Vec::new()));
}

/// The request that NACK's control loop sends for a new resource: its library's defaults (jsm.go, `DefaultStream` and
/// `DefaultConsumer`), and what the resource says on top.
fn made(resource: &Value) -> anyhow::Result<(String, Value)> {
    let spec = resource["spec"].as_object().context("a spec is an object")?;
    if resource["kind"] == "Stream" {
        let config = with(
            json!({"retention": "limits", "discard": "old", "max_consumers": -1, "max_msgs": -1,
                "max_msgs_per_subject": -1, "max_bytes": -1, "max_age": nanos("31536000s")?, "max_msg_size": -1,
                "num_replicas": 1, "storage": "memory"}),
            spec,
        )?;
        return Ok((
            format!("$JS.API.STREAM.CREATE.{}", text(&config["name"])?),
            config,
        ));
    }
    let mut config = with(
        json!({"deliver_policy": "all", "ack_policy": "explicit", "ack_wait": nanos("30s")?, "replay_policy": "instant"}),
        spec,
    )?;
    let fields = config.as_object_mut().context("a configuration is an object")?;
    let stream = fields.remove("stream_name").context("a consumer has a stream")?;
    let (stream, name) = (text(&stream)?, text(&config["durable_name"])?);
    let subject = format!("$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{name}");
    Ok((subject, json!({"stream_name": stream, "config": config})))
}

fn with(mut config: Value, spec: &Map<String, Value>) -> anyhow::Result<Value> {
    for (word, value) in spec {
        let (setting, value) = match word.as_str() {
            "preventDelete" => continue,
            "replicas" => ("num_replicas".to_owned(), value.clone()),
            "allowRollup" => ("allow_rollup_hdrs".to_owned(), value.clone()),
            "maxAge" | "ackWait" => (snake(word), nanos(text(value)?)?),
            "sources" => {
                let said = value.to_string();
                let said = said.replace("\"subjectTransforms\"", "\"subject_transforms\"");
                (
                    word.clone(),
                    serde_json::from_str(&said.replace("\"source\":", "\"src\":"))?,
                )
            }
            _ => (snake(word), value.clone()),
        };
        config[setting] = value;
    }
    Ok(config)
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

fn snake(word: &str) -> String {
    let parts = word.chars().flat_map(|c| match c {
        'A'..='Z' => vec!['_', c.to_ascii_lowercase()],
        _ => vec![c],
    });
    parts.collect()
}

fn nanos(seconds: &str) -> anyhow::Result<Value> {
    let seconds = seconds.strip_suffix('s').context("it is in seconds")?.parse()?;
    Ok(u64::try_from(Duration::from_secs(seconds).as_nanos())?.into())
}
