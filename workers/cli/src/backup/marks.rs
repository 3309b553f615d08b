use anyhow::{Context as _, bail};
use jetsaga::{Nats, subject::SEEN};
use serde_json::{Value, json};

use super::api;

/// The server knows of no message there.
const NO_MESSAGE: u64 = 10_037;

/// The sequence of the last mark.
pub(super) async fn last(nats: &Nats) -> anyhow::Result<u64> {
    let state = api::state(nats, SEEN).await?;
    let last = state.and_then(|state| state["last_seq"].as_u64());
    last.with_context(|| format!("there is no stream {SEEN}"))
}

/// Removes every mark after `known` that says that an event was handled: such a mark has no body. One that says whose an
/// event id is has one, and stays. Returns how many there were; doing it again finds none.
pub(super) async fn forget(nats: &Nats, known: u64) -> anyhow::Result<u64> {
    let (mut next, mut count) = (known + 1, 0);
    loop {
        let wish = json!({ "seq": next, "next_by_subj": "seen.>" });
        let request = format!("STREAM.MSG.GET.{SEEN}");
        let found = api::ask(nats, &request, &wish).await?;
        match api::refused(&found) {
            None => {}
            Some(_) if found["error"]["err_code"] == NO_MESSAGE => return Ok(count),
            Some(why) => bail!("{request}: {why}"),
        }
        let sequence = found["message"]["seq"].as_u64();
        let sequence = sequence.with_context(|| format!("{request} is answered without a sequence"))?;
        if matches!(&found["message"]["data"], Value::Null) {
            let mark = json!({ "seq": sequence, "no_erase": true });
            api::done(nats, &format!("STREAM.MSG.DELETE.{SEEN}"), &mark).await?;
            count += 1;
        }
        next = sequence + 1;
    }
}
