use async_nats::jetstream::{
    self,
    consumer::{DeliverPolicy, pull},
};
use futures_util::StreamExt as _;
use jetsaga::{Event, Nats, State, Timestamp, Token, on_signal, subject};

use crate::output::{Output, plain};

/// Prints every event of the checkout as it comes, until ctrl-c. It reads only.
pub(crate) async fn run(nats: &Nats, id: Option<&Token>, out: Output) -> anyhow::Result<()> {
    let mut stop = on_signal()?;
    let id = id.map_or("*", Token::as_str);
    let stream: jetstream::stream::Stream<()> = nats.jetstream.get_stream_no_info(subject::EVENTS).await?;
    let consumer = stream
        .create_consumer(pull::OrderedConfig {
            filter_subject: format!("evt.checkout.*.{id}"),
            deliver_policy: DeliverPolicy::New,
            ..pull::OrderedConfig::default()
        })
        .await?;
    let mut messages = consumer.messages().await?;
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let Some(message) = message else {
            anyhow::bail!("the stream of events ended")
        };
        let message = message?;
        let info = message.info().map_err(anyhow::Error::from_boxed)?;
        let stored_at = Timestamp::from(info.published);
        let event: Event<State> = serde_json::from_slice(&message.payload)?;
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
