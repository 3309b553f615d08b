//! What the events of an entity say of the fields that only newer workers know.

use std::collections::BTreeMap;

use checkout::stock::{Adjustment, AdjustmentFact, AdjustmentNote, AdjustmentStatus, Named as _};
use jetsaga::{
    Entity as _, Event, EventId, Payload, Token,
    anyhow::{Context as _, Result, ensure},
    now,
    saga::More,
    subject::EntitySubject,
};
use jetsaga_tests::harness::{System, jetsaga};
use serde_json::{Value, json, value::RawValue};

/// How many events of one kind did what with the fields that only newer workers know.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carried {
    /// An older worker wrote them again.
    pub(crate) carried: u32,
    /// A newer worker added to them.
    pub(crate) added: u32,
    /// An older worker wrote those of somebody's entry in a list again.
    pub(crate) entries: u32,
}

/// Every event of every entity of a kind as it is stored, oldest first.
pub(crate) async fn stored(system: &System, kind: &str) -> Result<BTreeMap<String, Vec<Value>>> {
    let mut stored = BTreeMap::<String, Vec<Value>>::new();
    for event in system.raw_events().await? {
        let mut parts = event.subject.split('.').skip(1);
        if let (Some(found), Some(_), Some(id)) = (parts.next(), parts.next(), parts.next())
            && found == kind
        {
            let body = serde_json::from_str(&event.body)?;
            stored.entry(id.to_owned()).or_default().push(body);
        }
    }
    Ok(stored)
}

/// Counts what the events of a kind carried on.
///
/// # Errors
/// Names what an event lost that the one before it of the same entity had.
pub(crate) async fn carried(system: &System, kind: &str) -> Result<Carried> {
    let mut all = Carried::default();
    for (id, events) in stored(system, kind).await? {
        for pair in events.windows(2) {
            let (before, after) = (&pair[0]["state"], &pair[1]["state"]);
            let lost = lost(before, after, &format!("{kind}.{id}"));
            ensure!(lost.is_none(), "{lost:?} is lost in {}", pair[1]);
            let written = |state: &Value| state["newerEvents"].as_u64().unwrap_or(0);
            ensure!(written(before) <= written(after), "it counts back: {}", pair[1]);
            let is_older = written(before) > 0 && written(before) == written(after);
            all.carried += u32::from(is_older);
            all.added += u32::from(written(before) < written(after));
            let kept = |entry: &&Value| {
                entry.get("newerWeight").is_some() && same(&before["inFlight"], entry).is_some()
            };
            let entries = after["inFlight"].as_array().into_iter().flatten().filter(kept);
            all.entries += u32::from(is_older && entries.count() > 0);
        }
    }
    Ok(all)
}

/// No digit of a newer number is lost in any event.
pub(crate) async fn whole(system: &System) -> Result<()> {
    for event in system.raw_events().await? {
        let count = |text: &str| event.body.matches(text).count();
        let whole = count("\"newerWeight\":1.50}") + count("\"newerWeight\":1.50,");
        ensure!(
            count("\"newerWeight\":") == whole,
            "a number lost a digit: {}",
            event.body
        );
    }
    Ok(())
}

/// The first place where `before` has something that `after` has not. A step that goes on is not stuck any more, and an
/// entry that leaves a list takes along what it has.
fn lost(before: &Value, after: &Value, place: &str) -> Option<String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => before.iter().find_map(|(name, before)| {
            let place = format!("{place}.{name}");
            match after.get(name) {
                Some(after) => lost(before, after, &place),
                None => (name != "stuck" && name != "inFlight").then_some(place),
            }
        }),
        (Value::Array(before), Value::Array(_)) => before
            .iter()
            .find_map(|entry| lost(entry, same(after, entry)?, place)),
        _ => (before.is_object() && !after.is_object()).then(|| place.to_owned()),
    }
}

/// The entry of the same operation in another state's list.
fn same<'a>(list: &'a Value, entry: &Value) -> Option<&'a Value> {
    let named = |other: &&Value| other["kind"] == entry["kind"] && other["id"] == entry["id"];
    list.as_array()?.iter().find(named)
}

/// An adjustment that newer code asked for and did not come to apply; the older tool applies it.
pub(crate) async fn adjusted(system: &System, id: &str, sku: &str, quantity: i64) -> Result<()> {
    let note = AdjustmentNote {
        adjustment_id: Token::new(id)?,
        sku: Token::new(sku)?,
        quantity,
    };
    let mut state = Adjustment {
        status: AdjustmentStatus::Requested,
        sku: note.sku.clone(),
        quantity,
        more: More::default(),
    };
    state.more.insert("newerEvents", Payload::of(&1)?);
    let weight = RawValue::from_string("1.50".to_owned())?;
    state.more.insert("newerWeight", Payload::of(&weight)?);
    let event_type = Token::new(AdjustmentFact::AdjustmentRequested.event_type())?;
    let event_id = EventId::derived(Adjustment::KIND, id, "0");
    let event = Event::<()>::new(event_id, event_type, now(), Payload::of(&note)?);
    let entity = EntitySubject::new(&Token::new(Adjustment::KIND)?, &note.adjustment_id);
    let event = event.with_state(Some(state));
    system.journal.append(&entity, 0, &event).await?;

    let mut tool = jetsaga()?;
    tool.args(["--json", "--nats-url", &system.url, "stock", "adjust", sku]);
    tool.args([&quantity.to_string(), "--operation", id]);
    let run = tool.output().await?;
    ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let last = system.journal.last::<Value>(&entity, jetsaga::Freshness::Leader);
    let last = last.await?.context("the adjustment is there")?;
    ensure!(last.state["status"] == json!("applied"), "{}", last.state);
    Ok(())
}
