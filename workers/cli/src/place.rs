use std::{io::Read as _, time::Duration};

use anyhow::Context as _;
use async_nats::{HeaderMap, HeaderValue};
use futures_util::StreamExt as _;
use jetsaga::{Nats, engine::REPLY, serde_json::value::RawValue};
use serde::{Deserialize, Serialize};

use crate::output::{Output, plain, progress};

/// Flags of `place`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// A file with an order, or with one a line; `-` reads standard input.
    file: String,
}

/// What the order worker answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    pub(crate) ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Places every order of the file and prints what became of each. Fails if one was refused.
pub(crate) async fn run(nats: &Nats, args: Args, out: Output) -> anyhow::Result<()> {
    let orders = read(&args.file)?;
    let bar = progress(orders.len() as u64, "placing");
    let mut refused = 0;
    for (n, order) in orders.iter().enumerate() {
        let which = format!("order {} of {}", n + 1, args.file);
        let answer = ask(nats, "OrderCreated", order)
            .await
            .with_context(|| which.clone())?;
        bar.inc(1);
        refused += usize::from(!answer.ok);
        bar.suspend(|| out.print(&answer, |answer| text(answer, &which)))?;
    }
    bar.finish_and_clear();
    anyhow::ensure!(refused == 0, "{refused} of {} orders were refused", orders.len());
    Ok(())
}

/// Publishes one event to the inbox and waits for the order worker's word, at most ten seconds.
pub(crate) async fn ask(nats: &Nats, event_type: &str, event: &[u8]) -> anyhow::Result<Answer> {
    let inbox = nats.client.new_inbox();
    let mut answers = nats.client.subscribe(inbox.clone()).await?;
    let mut headers = HeaderMap::new();
    headers.insert(REPLY, inbox.parse::<HeaderValue>()?);
    let subject = format!("in.checkout.{event_type}");
    let stored = nats
        .jetstream
        .publish_with_headers(subject, headers, event.to_vec().into())
        .await?;
    stored.await.context("the inbox did not take it")?;
    let answer = tokio::time::timeout(Duration::from_secs(10), answers.next()).await;
    let answer = answer.ok().flatten().context(
        "it is in the inbox, but no order worker has answered within ten seconds; it is taken once one runs",
    )?;
    Ok(serde_json::from_slice(&answer.payload)?)
}

/// The JSON values of the file, one after the other, each an order. Nothing is placed if one cannot be read.
fn read(file: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut text = Vec::new();
    if file == "-" {
        std::io::stdin().read_to_end(&mut text)?;
    } else {
        text = std::fs::read(file).with_context(|| format!("{file} cannot be read"))?;
    }
    let text = String::from_utf8(text).with_context(|| format!("{file} is no UTF-8 text"))?;
    let mut orders = Vec::new();
    for order in serde_json::Deserializer::from_str(&text).into_iter::<Box<RawValue>>() {
        let order = order
            .with_context(|| format!("{file}, after {} whole orders: nothing was placed", orders.len()))?;
        orders.push(order.get().as_bytes().to_vec());
    }
    anyhow::ensure!(!orders.is_empty(), "{file} holds no order");
    Ok(orders)
}

pub(crate) fn text(answer: &Answer, which: &str) -> String {
    let id = answer.id.as_deref().unwrap_or("?");
    match answer.sequence {
        Some(sequence) => format!("{id} taken, sequence {sequence}"),
        None => format!(
            "{which} is refused ({}): {}",
            answer.reason.as_deref().unwrap_or("?"),
            plain(answer.detail.as_deref().unwrap_or("no detail"))
        ),
    }
}
