use jetsaga::{Event, Feed, JournalInfo, Nats, State, Token, on_signal};

use crate::output::{Output, plain};

/// Prints every event of the checkout as it comes, until ctrl-c. It reads only.
pub(crate) async fn run(nats: &Nats, id: Option<&Token>, out: Output) -> anyhow::Result<()> {
    let mut stop = on_signal()?;
    let id = id.map_or("*", Token::as_str);
    let last = JournalInfo::read(nats).await?.last;
    let mut feed = Feed::open(nats, &[format!("evt.checkout.*.{id}")], last).await?;
    loop {
        let entry = tokio::select! {
            entry = feed.next() => entry,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let stored_at = entry.stored_at;
        let event: Event<State> = serde_json::from_slice(&entry.body)?;
        out.print(&event, |event| {
            let Some(state) = &event.state else {
                return String::new();
            };
            let steps: Vec<String> = state
                .steps
                .iter()
                .map(|(name, step)| format!("{name} {}", step.status))
                .collect();
            let why = event
                .reason
                .as_ref()
                .map(|why| format!("  ({})", plain(why)))
                .unwrap_or_default();
            format!(
                "{:<27}  {:<16} {:<26} {:<12} {}{why}",
                stored_at.to_string(),
                state.id,
                event.event_type,
                state.status,
                steps.join(", ")
            )
        })?;
    }
}
