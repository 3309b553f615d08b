//! What outsiders can rely on, as documents that are made from the code: a JSON Schema for every event, and an AsyncAPI
//! document of where they come and go.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use checkout::Checkout;
use customer::CustomerEvent;
use jetsaga::{Event, Facts as _, Plan};
use saga::STEP_STUCK;
use schemars::schema_for;
use serde_json::{Map, Value, json};

use crate::output::{self, Output};

/// Flags of `contract`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Write the documents into this folder instead of printing the AsyncAPI document.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, out: Output) -> anyhow::Result<()> {
    let documents = documents()?;
    let Some(folder) = &args.write else {
        let asyncapi = documents.first().context("there is a document")?;
        return output::say(asyncapi.1.trim_end());
    };
    for (name, text) in &documents {
        write(&folder.join(name), text)?;
    }
    let written: Vec<&str> = documents.iter().map(|(name, _)| name.as_str()).collect();
    out.print(&written, |written| {
        format!("{} documents written to {}", written.len(), folder.display())
    })
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let named = || format!("{} cannot be written", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(named)?;
    }
    std::fs::write(path, text).with_context(named)
}

/// Every document by its path, the AsyncAPI document first.
///
/// # Errors
/// When the checkout is no plan, or an event type has no payload.
pub fn documents() -> anyhow::Result<Vec<(String, String)>> {
    let told = told()?;
    let mut documents = vec![("asyncapi.json".to_owned(), text(&asyncapi(&told)?)?)];
    for it in &told {
        documents.push((it.file(), text(&it.schema)?));
    }
    Ok(documents)
}

/// An event that outsiders hear of.
struct Told {
    kind: &'static str,
    event_type: String,
    schema: Value,
}

impl Told {
    fn file(&self) -> String {
        format!("events/{}.{}.schema.json", self.kind, self.event_type)
    }
}

/// Every event type of the public kinds, in the order of its name.
fn told() -> anyhow::Result<Vec<Told>> {
    let plan = Plan::of::<Checkout>()?;
    let turns = [&plan.timed_out, &plan.cancellation_requested, &plan.cancelled];
    let mut told = Vec::new();
    for (event_type, _) in plan.event_types() {
        let payload = match event_type.as_str() {
            STEP_STUCK => Some(schema_for!(saga::StepStuck)),
            // What the engine writes itself has one shape.
            _ if turns.contains(&event_type) => checkout::payload_schema(plan.cancelled.as_str()),
            fact => checkout::payload_schema(fact),
        };
        told.push(tell("checkout", event_type.as_str(), payload)?);
    }
    for event_type in CustomerEvent::TYPES {
        told.push(tell(
            "customer",
            event_type,
            customer::payload_schema(event_type),
        )?);
    }
    told.sort_by(|a, b| (a.kind, &a.event_type).cmp(&(b.kind, &b.event_type)));
    Ok(told)
}

/// The schema of a whole event: the envelope, with its type and its payload.
fn tell(kind: &'static str, event_type: &str, payload: Option<schemars::Schema>) -> anyhow::Result<Told> {
    let payload = payload.with_context(|| format!("{event_type} of {kind} has no payload"))?;
    let mut payload = payload.to_value();
    let about = payload["description"].clone();
    let mut schema = schema_for!(Event<()>).to_value();
    let envelope = schema.as_object_mut().context("an event is an object")?;
    if let Some(fields) = payload.as_object_mut() {
        fields.remove("$schema");
        // References count from the root of the document.
        if let Some(Value::Object(defined)) = fields.remove("$defs") {
            let all = envelope.entry("$defs").or_insert_with(|| json!({}));
            all.as_object_mut()
                .context("definitions are an object")?
                .extend(defined);
        }
    }
    envelope.insert("title".to_owned(), event_type.into());
    envelope.insert("description".to_owned(), about);
    let properties = envelope["properties"]
        .as_object_mut()
        .context("an event has fields")?;
    properties.insert("eventType".to_owned(), json!({"const": event_type}));
    properties.insert("payload".to_owned(), payload);
    Ok(Told {
        kind,
        event_type: event_type.to_owned(),
        schema,
    })
}

/// The AsyncAPI document: what is told on `out.…`, and what is taken on `in.…`.
fn asyncapi(told: &[Told]) -> anyhow::Result<Value> {
    let plan = Plan::of::<Checkout>()?;
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());
    for it in told {
        let (kind, event_type) = (it.kind, &it.event_type);
        let name = format!("{kind}.{event_type}");
        let message = json!({
            "name": event_type,
            "contentType": "application/json",
            "headers": {"type": "object", "properties": {
                "Jetsaga-Sequence": {"type": "string", "description": "The sequence of the event in the journal."},
                "Jetsaga-Stored-At": {"type": "string", "format": "date-time", "description": "When the journal stored it."},
                "traceparent": {"type": "string", "description": "The trace that it belongs to (W3C Trace Context)."},
                "tracestate": {"type": "string", "description": "What others say of that trace (the same)."},
            }},
            "payload": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": {"$ref": format!("./{}", it.file())}},
        });
        messages.insert(name.clone(), message);
        let id = json!({"id": {"description": format!("The id of the {kind}.")}});
        let channel = |address: String| {
            let reference = json!({"$ref": format!("#/components/messages/{name}")});
            json!({"address": address, "messages": {event_type: reference}})
        };
        let mut out = channel(format!("out.{kind}.{event_type}.{{id}}"));
        out["parameters"] = id;
        channels.insert(format!("out.{name}"), out);
        operations.insert(
            format!("tell.{name}"),
            json!({"action": "send", "channel": {"$ref": format!("#/channels/out.{name}")}}),
        );
        let taken = [&plan.start, &plan.cancellation_requested];
        if taken
            .iter()
            .any(|taken| *kind == *plan.saga.as_str() && taken.as_str() == event_type)
        {
            channels.insert(format!("in.{name}"), channel(format!("in.{kind}.{event_type}")));
            operations.insert(
                format!("take.{name}"),
                json!({"action": "receive", "channel": {"$ref": format!("#/channels/in.{name}")}}),
            );
        }
    }
    Ok(json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Jetsaga: the checkout",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The stream OUTBOUND carries every event of an order and of a customer, once, in the order in \
                which they were recorded. A durable consumer with max_ack_pending 1 hears them in that order whatever \
                happens to its members. The stream INBOX takes orders and cancellations; an event of the same eventId and \
                content again changes nothing, and a subject under _INBOX. in the header Jetsaga-Reply is answered.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "127.0.0.1:4222", "protocol": "nats"}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }))
}

fn text(document: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}
