use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use async_nats::{Request, RequestErrorKind};
use bytes::Bytes;
use jetsaga::Nats;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::manifest::Consumer;

/// How long a server that was just given something may take until somebody leads it.
pub(super) const ELECTION: Duration = Duration::from_secs(30);
/// How long servers may take to hear who listens on another. The one that restores gives up after five seconds of silence.
const HEARSAY: Duration = Duration::from_secs(4);
/// How long it may take over one request: it may read everything first.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

/// Asks the JetStream API. An answer with an error in it is an answer.
pub(super) async fn ask(nats: &Nats, request: &str, body: &Value) -> anyhow::Result<Value> {
    send(nats, format!("$JS.API.{request}"), body.to_string()).await
}

/// Sends `body` to any subject that answers in JSON, or with nothing. In a cluster a server may not know yet who listens on
/// another; what nobody heard is sent again.
pub(super) async fn send(nats: &Nats, subject: String, body: impl Into<Bytes>) -> anyhow::Result<Value> {
    let (body, deadline) = (body.into(), Instant::now() + HEARSAY);
    let answer = loop {
        let request = Request::new().payload(body.clone()).timeout(Some(PATIENCE));
        match nats.client.send_request(subject.clone(), request).await {
            Err(error) if error.kind() == RequestErrorKind::NoResponders && Instant::now() < deadline => {
                sleep(Duration::from_millis(20)).await;
            }
            answer => break answer.with_context(|| format!("{subject} is not answered"))?,
        }
    };
    if answer.payload.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&answer.payload).with_context(|| format!("{subject} is answered with no JSON"))
}

/// The same, where an error is one.
pub(super) async fn done(nats: &Nats, request: &str, body: &Value) -> anyhow::Result<Value> {
    let answer = ask(nats, request, body).await?;
    refused(&answer).map_or(Ok(answer), |why| bail!("{request}: {why}"))
}

/// The same, tried again while nobody leads what is asked for.
pub(super) async fn done_soon(nats: &Nats, request: &str, body: &Value) -> anyhow::Result<Value> {
    let deadline = Instant::now() + ELECTION;
    loop {
        match done(nats, request, body).await {
            Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(200)).await,
            answered => return answered,
        }
    }
}

/// The same, tried again while the cluster's leader knows of no servers to place a stream on.
pub(super) async fn placed(nats: &Nats, request: &str, body: &Value) -> anyhow::Result<Value> {
    let deadline = Instant::now() + ELECTION;
    loop {
        let answer = ask(nats, request, body).await?;
        match refused(&answer) {
            None => return Ok(answer),
            Some(_) if is_placement(&answer) && Instant::now() < deadline => {
                sleep(Duration::from_millis(200)).await;
            }
            Some(why) => bail!("{request}: {why}"),
        }
    }
}

/// True if there are too few servers, as far as is known: `no suitable peers`, `not available`, `insufficient resources`.
pub(super) fn is_placement(answer: &Value) -> bool {
    matches!(
        answer["error"]["err_code"].as_u64(),
        Some(10_005 | 10_008 | 10_023)
    )
}

/// True if the name of a stream is taken: `name already in use, cannot restore`.
pub(super) fn is_taken(answer: &Value) -> bool {
    answer["error"]["err_code"] == 10_130
}

/// What the server has against a request, if it answered with an error.
pub(super) fn refused(answer: &Value) -> Option<String> {
    let error = answer.get("error")?;
    Some(format!(
        "{} ({})",
        error["description"].as_str().unwrap_or("it is refused"),
        error["err_code"]
    ))
}

/// What the server says of a stream; `None` if there is no such stream.
pub(super) async fn info(nats: &Nats, stream: &str) -> anyhow::Result<Option<Value>> {
    let request = format!("STREAM.INFO.{stream}");
    let answer = ask(nats, &request, &Value::Null).await?;
    match refused(&answer) {
        None => Ok(Some(answer)),
        Some(_) if is_absence(&answer) => Ok(None),
        Some(why) => bail!("{request}: {why}"),
    }
}

/// The state of a stream; `None` if there is no such stream.
pub(super) async fn state(nats: &Nats, stream: &str) -> anyhow::Result<Option<Value>> {
    Ok(info(nats, stream).await?.map(|info| info["state"].clone()))
}

/// Deletes a stream, if it is there.
pub(super) async fn gone(nats: &Nats, stream: &str) -> anyhow::Result<()> {
    let request = format!("STREAM.DELETE.{stream}");
    let deadline = Instant::now() + ELECTION;
    loop {
        let answer = send(nats, format!("$JS.API.{request}"), Bytes::new()).await?; // it takes no body
        match refused(&answer) {
            None => return Ok(()),
            Some(_) if is_absence(&answer) => return Ok(()),
            Some(_) if Instant::now() < deadline => sleep(Duration::from_millis(200)).await,
            Some(why) => bail!("{request}: {why}"),
        }
    }
}

/// True if there is no such stream.
fn is_absence(answer: &Value) -> bool {
    answer["error"]["err_code"] == 10_059
}

/// Every durable consumer of a stream, and how far it has acknowledged.
pub(super) async fn consumers(nats: &Nats, stream: &str) -> anyhow::Result<Vec<Consumer>> {
    let (mut found, mut offset) = (Vec::new(), 0);
    loop {
        let request = format!("CONSUMER.LIST.{stream}");
        let answer = done(nats, &request, &json!({ "offset": offset })).await?;
        let page = answer["consumers"].as_array().map_or(&[][..], Vec::as_slice);
        ensure!(
            answer["missing"].as_array().is_none_or(Vec::is_empty),
            "nobody answers for the consumers {} of {stream}",
            answer["missing"]
        );
        for info in page {
            if info["config"]["durable_name"].is_string() {
                let name = info["name"].as_str().context("a consumer without a name")?;
                let acknowledged = info["ack_floor"]["stream_seq"].as_u64();
                found.push(Consumer {
                    name: name.to_owned(),
                    config: info["config"].clone(),
                    acknowledged: acknowledged.with_context(|| format!("{name} says nothing of itself"))?,
                });
            }
        }
        offset += page.len();
        if page.is_empty() || Some(offset as u64) >= answer["total"].as_u64() {
            return Ok(found);
        }
    }
}
