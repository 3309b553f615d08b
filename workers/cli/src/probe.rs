use std::time::Duration;

use anyhow::Context as _;
use jetsaga::duration;
use serde_json::json;

use crate::output::{Output, plain};

/// `jetsaga probe …`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Such as http://127.0.0.1:9100/readyz.
    url: String,
    /// How long the answer may take.
    #[arg(long, default_value = "3s", value_parser = duration)]
    limit: Duration,
}

/// Succeeds if the address answers with success in time. It is the health check of an image that holds only this tool.
pub(crate) async fn run(args: &Args, out: Output) -> anyhow::Result<()> {
    let Args { url, limit } = args;
    let client = reqwest::Client::builder().no_proxy().timeout(*limit).build()?;
    let asked = client.get(url).send().await;
    let answer = asked.with_context(|| format!("{url} does not answer"))?;
    let status = answer.status();
    let text = answer.text().await.with_context(|| format!("{url} breaks off"))?;
    let text = plain(text.trim());
    anyhow::ensure!(status.is_success(), "{url} answers {status}: {text}");
    out.print(&json!({"url": url, "status": status.as_u16()}), |_| text)
}
