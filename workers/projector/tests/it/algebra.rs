//! Many changes made into one change the tables as they would have one after the other.

use anyhow::Result;
use fastrand::Rng;
use jetsaga::{
    Event, EventId, Payload, Timestamp, Token,
    engine::Heard,
    serde_json::{self, value::RawValue},
};
use projection::{Database, Picture, Projection, Rows, Store, Table, Type};
use serde::{Deserialize, Serialize};

use crate::harness::{Place, on_both};

on_both!(batches_change_what_their_events_change);

async fn batches_change_what_their_events_change(place: Place) -> Result<()> {
    let url = place.url();
    let store = Store::open(Database::open(&url).await?, vec![Box::new(Scribble)]).await?;
    let mut picture = Picture::of(&Scribble);
    let mut rng = Rng::with_seed(5);
    let mut sequence = 0;
    for _ in 0..60 {
        let events = if rng.u8(..10) == 0 {
            rng.usize(200..900)
        } else {
            rng.usize(1..30)
        };
        let keys = if rng.bool() { 5 } else { 400 };
        let mut batch = Vec::new();
        for _ in 0..events {
            sequence += 1;
            let changes = (0..rng.usize(1..4))
                .map(|_| Change::any(&mut rng, keys))
                .collect();
            let heard = scribbled(sequence, &changes)?;
            picture.hear(&Scribble, &heard)?;
            batch.push(heard);
        }
        assert!(store.apply(batch.clone()).await?);
        assert!(store.apply(batch).await?, "what is contained is passed over");
        assert_eq!(store.picture("scribble").await?.lines(), picture.lines());
    }
    assert!(
        picture.count("one") > 100 && picture.count("two") > 20,
        "rows meet and stay"
    );
    Ok(())
}

/// What one event of a test changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Change {
    key: i64,
    what: u8,
    number: i64,
    text: Option<String>,
}

impl Change {
    fn any(rng: &mut Rng, keys: i64) -> Self {
        Self {
            key: rng.i64(0..keys),
            what: rng.u8(..10),
            number: rng.i64(-5..5),
            text: rng.bool().then(|| format!("'{}\"\0é", rng.u8(..9))),
        }
    }
}

fn scribbled(sequence: u64, changes: &Vec<Change>) -> Result<Heard> {
    let id = EventId::derived("test", "scribble", &sequence.to_string());
    let payload = Payload::of(changes)?;
    Ok(Heard {
        kind: Token::new("scribble")?,
        id: Token::new("S-1")?,
        event: Event::new(id, Token::new("Scribbled")?, Timestamp::EPOCH, payload),
        state: RawValue::from_string(serde_json::to_string(&sequence)?)?,
        sequence,
        stored_at: Timestamp::EPOCH,
    })
}

struct Scribble;

impl Projection for Scribble {
    fn name(&self) -> &'static str {
        "scribble"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["scribble"]
    }

    fn tables(&self) -> Vec<Table> {
        let one = Table::new("one")
            .key("id", Type::Integer)
            .text("a")
            .text("b")
            .bool("c")
            .count("n");
        let two = Table::new("two")
            .key("x", Type::Text)
            .key("y", Type::Integer)
            .integer("a")
            .index(&["a"]);
        vec![one, two]
    }

    fn hear(&self, heard: &Heard, rows: &mut Rows<'_>) -> Result<()> {
        for Change {
            key,
            what,
            number,
            text,
        } in heard.event.payload.read::<Vec<Change>>()?
        {
            match what {
                0 => rows.delete("one", [key]),
                1 => rows.row("one", [key]).set("a", text).done(),
                2 => rows.row("one", [key]).first("a", text).done(),
                3 => rows.row("one", [key]).add("n", number).done(),
                4 => rows
                    .row("one", [key])
                    .set("c", number > 0)
                    .first("b", text)
                    .add("n", number)
                    .done(),
                5 => rows.row("one", [key]).done(),
                6 => rows
                    .row("one", [key])
                    .set("b", text)
                    .add("n", number)
                    .add("n", 1)
                    .done(),
                7 => rows.delete("two", [projection::Value::from("k"), key.into()]),
                _ => rows
                    .row("two", [projection::Value::from("k"), key.into()])
                    .set("a", number)
                    .done(),
            }
        }
        Ok(())
    }
}
