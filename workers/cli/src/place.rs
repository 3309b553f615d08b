use std::{
    io::{BufRead as _, BufReader, Read},
    time::Duration,
};

use anyhow::Context as _;
use async_nats::{HeaderMap, HeaderValue};
use futures_util::StreamExt as _;
use jetsaga::{Nats, engine::REPLY};
use serde::{Deserialize, Serialize};

use crate::output::{Output, progress};

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
    ok: bool,
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
    anyhow::ensure!(!orders.is_empty(), "{} holds no order", args.file);
    let bar = progress(orders.len() as u64, "placing");
    let mut refused = 0;
    for (n, order) in orders.iter().enumerate() {
        let answer = place(nats, order)
            .await
            .with_context(|| format!("order {} of {}", n + 1, args.file))?;
        bar.inc(1);
        refused += usize::from(!answer.ok);
        bar.suspend(|| out.print(&answer, text))?;
    }
    bar.finish_and_clear();
    anyhow::ensure!(refused == 0, "{refused} of {} orders were refused", orders.len());
    Ok(())
}

/// Publishes one order to the inbox and waits for the order worker's word, at most ten seconds.
async fn place(nats: &Nats, order: &[u8]) -> anyhow::Result<Answer> {
    let inbox = nats.client.new_inbox();
    let mut answers = nats.client.subscribe(inbox.clone()).await?;
    let mut headers = HeaderMap::new();
    headers.insert(REPLY, inbox.parse::<HeaderValue>()?);
    let subject = "in.checkout.OrderCreated";
    let stored = nats
        .jetstream
        .publish_with_headers(subject, headers, order.to_vec().into())
        .await?;
    stored.await.context("the inbox did not take it")?;
    let answer = tokio::time::timeout(Duration::from_secs(10), answers.next()).await;
    let answer = answer.ok().flatten().context(
        "it is in the inbox, but no order worker has answered within ten seconds; it is placed once one runs",
    )?;
    Ok(serde_json::from_slice(&answer.payload)?)
}

/// A whole file that is one JSON value is one order; else every line that is not blank is one.
fn read(file: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut text = Vec::new();
    if file == "-" {
        std::io::stdin().read_to_end(&mut text)?;
    } else {
        text = std::fs::read(file).with_context(|| format!("{file} cannot be read"))?;
    }
    if serde_json::from_slice::<serde_json::Value>(&text).is_ok() {
        return Ok(vec![text]);
    }
    let lines = BufReader::new(text.as_slice())
        .split(b'\n')
        .collect::<Result<Vec<_>, _>>()?;
    Ok(lines
        .into_iter()
        .filter(|line| !line.trim_ascii().is_empty())
        .collect())
}

fn text(answer: &Answer) -> String {
    let id = answer.id.as_deref().unwrap_or("?");
    match answer.sequence {
        Some(sequence) => format!("{id} placed, sequence {sequence}"),
        None => format!(
            "refused ({}): {}",
            answer.reason.as_deref().unwrap_or("?"),
            answer.detail.as_deref().unwrap_or("no detail")
        ),
    }
}
