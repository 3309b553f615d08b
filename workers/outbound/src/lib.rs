//! Tells outsiders what happened, without telling them how: the stream `OUTBOUND` carries every event of the public kinds
//! without the state that travels in it, once, in the order of the journal.
//!
//! `out.<kind>.<EventType>.<id>` for `evt.<kind>.<EventType>.<id>`. Where the relay stands is told by the stream itself:
//! its last message names the journal sequence that it came from, and each message is published on the condition that the
//! last one is still there. So it needs no store, may die anywhere, and any number of replicas tell each event once.

mod message;
mod relay;

use jetsaga::{
    Nats, Right, Token, Worker, anyhow,
    subject::{EVENTS, OUTBOUND},
};

pub use message::{SEQUENCE, Unfit, message};
pub use relay::Relay;

/// The flags of the outbound worker.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The kinds whose events outsiders hear of, separated by commas.
    #[arg(
        long,
        env = "OUTBOUND_KINDS",
        value_delimiter = ',',
        default_value = "checkout,customer",
        value_parser = kind
    )]
    pub outbound_kinds: Vec<Token>,
}

/// The outbound worker.
///
/// # Errors
/// Never: it is checked already.
#[expect(clippy::unused_async, reason = "workers are built so")]
pub async fn worker(args: Args, _: Nats) -> anyhow::Result<Worker> {
    Ok(relaying(args.outbound_kinds))
}

/// The worker that relays these kinds.
pub fn relaying(kinds: Vec<Token>) -> Worker {
    let told = kinds.iter().map(|kind| Right::Publish(format!("out.{kind}.*.*")));
    let told: Vec<Right> = told.collect();
    Worker::new("outbound")
        .service("outbound", Relay::new(kinds))
        .needs([Right::Follow(EVENTS), Right::Look(OUTBOUND)])
        .needs(told)
}

fn kind(text: &str) -> Result<Token, String> {
    Token::new(text).map_err(|error| format!("OUTBOUND_KINDS: {error}"))
}
