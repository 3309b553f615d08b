use anyhow::Context as _;
use jetsaga::{
    Event, EventId, Journal, Moment, Nats, Recorded, Timestamp, Token, serde_json::value::RawValue,
    subject::EntitySubject,
};
use serde::Serialize;

use crate::output::{Output, plain};

/// One event of a history, as it is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    sequence: u64,
    guard: u64,
    stored_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    caused_by: Option<EventId>,
    event: Event<Box<RawValue>>,
}

/// Everything that happened to one entity, oldest first.
pub(crate) async fn history(nats: &Nats, kind: &Token, id: &Token, out: Output) -> anyhow::Result<()> {
    let journal = Journal::new(nats);
    let history = journal
        .history::<Box<RawValue>>(&EntitySubject::new(kind, id))
        .await?;
    anyhow::ensure!(
        !history.is_empty(),
        "there is no {kind} {id}; kinds are checkout, reservation, adjustment and stock"
    );
    for recorded in history {
        out.print(&line(recorded), |line| {
            let reason = line
                .event
                .reason
                .as_ref()
                .map(|why| format!("  ({})", plain(why)))
                .unwrap_or_default();
            format!(
                "{:>8}  {}  {:<28}{reason}  {}",
                line.sequence,
                line.stored_at,
                line.event.event_type,
                line.event.payload.text()
            )
        })?;
    }
    Ok(())
}

/// The state of one entity as it was.
pub(crate) async fn at(
    nats: &Nats,
    kind: &Token,
    id: &Token,
    moment: Moment,
    out: Output,
) -> anyhow::Result<()> {
    let journal = Journal::new(nats);
    let found = journal
        .as_of::<Box<RawValue>>(&EntitySubject::new(kind, id), moment)
        .await?;
    let found = found.with_context(|| format!("there was no {kind} {id} then"))?;
    let line = line(found);
    out.print(&line, |line| {
        let state = line
            .event
            .state
            .as_ref()
            .map(|state| pretty(state))
            .unwrap_or_default();
        format!(
            "after {} (sequence {}, {})\n{state}",
            line.event.event_type, line.sequence, line.stored_at
        )
    })
}

/// The moment that the flags name.
pub(crate) fn moment(time: Option<Timestamp>, sequence: Option<u64>) -> anyhow::Result<Moment> {
    match (time, sequence) {
        (Some(time), None) => Ok(Moment::Time(time)),
        (None, Some(sequence)) => Ok(Moment::Sequence(sequence)),
        _ => anyhow::bail!("say either --time or --sequence"),
    }
}

fn line(recorded: Recorded<Box<RawValue>>) -> Line {
    Line {
        sequence: recorded.sequence,
        guard: recorded.guard,
        stored_at: recorded.stored_at,
        caused_by: recorded.event.causation_id,
        event: recorded.event.with_state(Some(recorded.state)),
    }
}

fn pretty(json: &RawValue) -> String {
    let value: Result<serde_json::Value, _> = serde_json::from_str(json.get());
    value
        .and_then(|v| serde_json::to_string_pretty(&v))
        .unwrap_or_else(|_| json.get().to_owned())
}
