use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::Result;
use checkout::OrderCreated;
use jetsaga::Status;
use serde::Serialize;

use super::{
    entity::{Saga, Sagas},
    history::{Expected, Line, Outcome},
    ledger::{Account, Money},
};

/// Everything that has to hold once all is at rest, as sentences that do not: the one place where a run is judged.
pub(super) fn check(history: &[Line], sagas: &Sagas, money: &Money) -> Vec<String> {
    let mut wrong = sagas.violations.clone();
    for (id, saga) in sagas.iter() {
        if let Err(why) = ended(saga, money.of(id)) {
            wrong.push(format!("{id} {why}"));
        }
    }
    for line in history {
        if let Err(why) = answered(line, sagas) {
            wrong.push(format!("{} {why}", line.order_id));
        }
    }
    wrong
}

/// It is over, nothing is stuck, and the money agrees.
fn ended(saga: &Saga, money: Account) -> Result<(), String> {
    let state = &saga.state;
    if !state.is_final() {
        return Err(format!("is {}: {:?}", state.status, state.steps));
    }
    let order: OrderCreated = state.start.payload.read().map_err(|error| error.to_string())?;
    let due = if state.status == Status::Completed {
        order.total_amount.minor()
    } else {
        0
    };
    if money.charges > 1 || money.refunds > 1 || money.charged != due + money.refunded {
        return Err(format!(
            "is {} over {due}, but the ledger says {money:?}",
            state.status
        ));
    }
    Ok(())
}

/// What was let in is there, and what was no order is not.
fn answered(line: &Line, sagas: &Sagas) -> Result<(), String> {
    let there = sagas.get(&line.order_id).is_some();
    let start = line.event_type == "OrderCreated";
    match (line.expected, line.outcome) {
        (Expected::Good | Expected::Duplicate, Outcome::Ok) if !there => {
            Err("was let in, but it is not in the journal".to_owned())
        }
        (Expected::Good, _) if start && line.stored && !there => {
            Err("was stored in the inbox, but it is not in the journal".to_owned())
        }
        (Expected::Good, Outcome::Refused) if start => Err("was refused, but it is a good order".to_owned()),
        (Expected::Bad, Outcome::Ok) => Err("was let in, but it is none".to_owned()),
        _ => Ok(()),
    }
}

/// Writes one JSON object a line.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn lines<T: Serialize>(path: &Path, items: &[T]) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for item in items {
        serde_json::to_writer(&mut file, item)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}
