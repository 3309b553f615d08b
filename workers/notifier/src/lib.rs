//! The notifier tells customers how their order ended. It is no step of the saga: a plain handler that hears
//! events, deduplicates by event id, and writes a notice to a file or posts it to a webhook.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use checkout::OrderCreated;
use jetsaga::{
    EventId, Handler, Heard, Hidden, Nats, State, Timestamp, Token, Worker, clap, engine::use_ring,
};
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;

/// Flags of the notifier.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Args {
    /// The file that notices are appended to, one JSON object a line.
    #[arg(long, env = "NOTIFIER_FILE", default_value = "notices.jsonl")]
    pub notifier_file: PathBuf,

    /// Where notices are posted instead, as JSON with the event id as `Idempotency-Key`.
    #[arg(
        long,
        env = "NOTIFIER_WEBHOOK",
        hide_env_values = true,
        value_parser = Hidden::url("NOTIFIER_WEBHOOK", "a URL such as http://127.0.0.1:8080/notices")
    )]
    pub notifier_webhook: Option<String>,
}

/// The name of its handler and of its consumers.
pub const NAME: &str = "notifier";
/// The events of a checkout that it hears.
pub const HEARD: [&str; 3] = ["OrderCreated", "OrderShipped", "OrderCancelled"];

/// What a customer is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// The event that it is about: a reader drops a second notice with the same one.
    pub event_id: EventId,
    /// Whom.
    pub customer_id: Token,
    /// About which order.
    pub order_id: Token,
    /// When it happened.
    pub at: Timestamp,
    /// What, in a sentence.
    pub text: String,
}

/// The worker.
///
/// # Errors
/// When the file can be none, or the webhook's client cannot be made.
pub async fn worker(args: Args, _: Nats) -> anyhow::Result<Worker> {
    notifying(args)
}

/// The same, told by its flags alone.
///
/// # Errors
/// When the file can be none, or the webhook's client cannot be made.
pub fn notifying(args: Args) -> anyhow::Result<Worker> {
    use_ring();
    let outlet = match args.notifier_webhook {
        Some(url) => Outlet::Webhook(
            reqwest::Client::builder()
                .timeout(Duration::from_secs(10))
                .build()?,
            url,
        ),
        None => Outlet::File(a_file(args.notifier_file)?),
    };
    Ok(Worker::new(NAME).handler(NAME, "checkout", &HEARD, Notifier { outlet })?)
}

/// The file, if it is one or can become one.
fn a_file(file: PathBuf) -> anyhow::Result<PathBuf> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let why = if file.is_dir() {
        "is a folder"
    } else if folder.is_some_and(|folder| !folder.is_dir()) {
        "is in no folder that exists"
    } else {
        return Ok(file);
    };
    anyhow::bail!(
        "NOTIFIER_FILE {} {why}; it takes the path of a file to append to",
        file.display()
    )
}

struct Notifier {
    outlet: Outlet,
}

enum Outlet {
    File(PathBuf),
    Webhook(reqwest::Client, String),
}

impl Handler for Notifier {
    async fn handle(&self, heard: &Heard) -> anyhow::Result<()> {
        let notice = notice(heard)?;
        match &self.outlet {
            Outlet::File(path) => append(path, &notice).await,
            Outlet::Webhook(client, url) => post(client, url, &notice).await,
        }
    }
}

fn notice(heard: &Heard) -> anyhow::Result<Notice> {
    let state: State = serde_json::from_str(heard.state.get())?;
    let order: OrderCreated = state.start.payload.read()?;
    let why = heard.event.reason.as_deref().unwrap_or("no reason given");
    let text = match heard.event.event_type.as_str() {
        "OrderCreated" => format!("We have your order {} over {}.", heard.id, order.total_amount),
        "OrderShipped" => format!("Your order {} is on its way.", heard.id),
        _ => format!(
            "Your order {} was cancelled: {why}. Nothing is charged.",
            heard.id
        ),
    };
    Ok(Notice {
        event_id: heard.event.event_id,
        customer_id: order.customer_id,
        order_id: order.order_id,
        at: heard.event.timestamp,
        text,
    })
}

/// One write of a whole line, so that replicas which share the file do not mix their lines.
async fn append(path: &PathBuf, notice: &Notice) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(notice)?;
    line.push(b'\n');
    let open = tokio::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .await;
    let mut file = open.with_context(|| format!("NOTIFIER_FILE {} cannot be written to", path.display()))?;
    file.write_all(&line).await?;
    file.flush().await?;
    Ok(())
}

async fn post(client: &reqwest::Client, url: &str, notice: &Notice) -> anyhow::Result<()> {
    let request = client
        .post(url)
        .header("Idempotency-Key", notice.event_id.to_string())
        .json(notice);
    let answer = request.send().await.and_then(reqwest::Response::error_for_status);
    // The path of a webhook is often its secret.
    answer
        .map_err(reqwest::Error::without_url)
        .context("NOTIFIER_WEBHOOK takes no notice")?;
    Ok(())
}
