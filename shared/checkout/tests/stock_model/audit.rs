//! The books kept outside the system, and what they have to say in every state and at rest.

use std::collections::BTreeMap;

use checkout::stock::{
    AdjustmentStatus, Cause, Key, Mark, Move, Outcome, Product, ProductFact, ReservationStatus, StockChange,
    Write,
};
use saga::Token;

use super::{
    entity::Entity,
    task::{Life, Task},
    world::World,
};

/// Units moved, by product and operation, as the journal's product events tell it.
#[derive(Clone, Debug, Hash)]
pub struct Audit {
    initial: BTreeMap<Token, u64>,
    moved: BTreeMap<(Token, Mark), i64>,
}

impl Audit {
    pub fn new(initial: BTreeMap<Token, u64>) -> Self {
        Self {
            initial,
            moved: BTreeMap::new(),
        }
    }

    fn net(&self, sku: &Token, kind: Move, id: &Token) -> i64 {
        let mark = Mark { kind, id: id.clone() };
        self.moved.get(&(sku.clone(), mark)).copied().unwrap_or_default()
    }

    /// The books after a product event; an error if an operation is applied a second time.
    pub fn after(&self, write: &Write<Product>) -> Result<Self, String> {
        let mut books = self.clone();
        let StockChange {
            sku,
            cause,
            quantity,
            settled,
        } = &write.payload;
        let (id, refusable) = match cause {
            Cause::OrderId(id) => (id, Move::Hold),
            Cause::AdjustmentId(id) => (id, Move::Adjust),
        };
        let (kind, by) = match write.fact {
            ProductFact::StockReserved => (Move::Hold, *quantity),
            ProductFact::StockReleased => (Move::Release, *quantity),
            ProductFact::StockShipped => (Move::Ship, *quantity),
            ProductFact::StockAdjusted => (Move::Adjust, *quantity),
            ProductFact::StockWithdrawn => (refusable, -quantity),
            ProductFact::StockFenced => (refusable, 0),
        };
        books.book(sku, Mark { kind, id: id.clone() }, by)?;
        for entry in settled.iter().filter(|s| s.withdrawn) {
            let by = -self.net(sku, entry.mark.kind, &entry.mark.id);
            books.book(sku, entry.mark.clone(), by)?;
        }
        Ok(books)
    }

    fn book(&mut self, sku: &Token, mark: Mark, by: i64) -> Result<(), String> {
        let net = self.moved.entry((sku.clone(), mark.clone())).or_default();
        if by != 0 && *net != 0 && *net != -by {
            return Err(format!("{mark:?} is applied twice to {sku}"));
        }
        *net += by;
        if *net == 0 {
            self.moved.remove(&(sku.clone(), mark));
        }
        Ok(())
    }
}

/// What holds in every state.
pub fn always(world: &World) -> Result<(), String> {
    for (key, entity) in world.entities() {
        match (key, entity) {
            (Key::Product(sku), Entity::Product(chain)) => {
                let product = chain.last.clone().unwrap_or_default();
                numbers(world, sku, &product)?;
            }
            (Key::Reservation(order), Entity::Reservation(_)) => decided(world, key, order)?,
            _ => {}
        }
    }
    Ok(())
}

/// Units are neither made nor lost, and every number is the sum of what the books say.
fn numbers(world: &World, sku: &Token, product: &Product) -> Result<(), String> {
    let mut sums = [i64::try_from(world.audit.initial[sku]).unwrap(), 0, 0];
    for ((of, mark), units) in world.audit.moved.iter().filter(|((of, _), _)| of == sku) {
        let (held, gone) = match mark.kind {
            Move::Adjust => (0, 0),
            Move::Hold => (*units, 0),
            Move::Release => (-units, 0),
            Move::Ship => (-units, *units),
        };
        sums[0] += if mark.kind == Move::Adjust {
            *units
        } else {
            -held - gone
        };
        sums[1] += held;
        sums[2] += gone;
        let hold = world.audit.net(of, Move::Hold, &mark.id);
        let after = world.audit.net(of, Move::Release, &mark.id) + world.audit.net(of, Move::Ship, &mark.id);
        if mark.kind != Move::Adjust && after > hold {
            return Err(format!(
                "{} gives back or ships more of {sku} than it holds",
                mark.id
            ));
        }
    }
    let numbers = [product.on_hand, product.reserved, product.shipped].map(|n| i64::try_from(n).unwrap());
    if numbers != sums || sums.iter().any(|n| *n < 0) {
        return Err(format!("{sku} has {numbers:?}; the books say {sums:?}"));
    }
    Ok(())
}

/// A decision is all or nothing.
fn decided(world: &World, key: &Key, order: &Token) -> Result<(), String> {
    let Some(reservation) = world.reservation(key) else {
        return Ok(());
    };
    for (sku, quantity) in reservation.items.iter() {
        let net = |kind| world.audit.net(sku, kind, order);
        let quantity = i64::from(quantity);
        let (hold, release, ship) = (net(Move::Hold), net(Move::Release), net(Move::Ship));
        let fits = match reservation.status {
            ReservationStatus::Held => hold == quantity && (release == 0 || ship == 0),
            ReservationStatus::Released => hold == quantity && release == quantity && ship == 0,
            ReservationStatus::Shipped => hold == quantity && ship == quantity && release == 0,
            ReservationStatus::Refused | ReservationStatus::Forbidden => release == 0 && ship == 0,
        };
        if !fits {
            let status = reservation.status;
            return Err(format!(
                "{order} is {status:?} with {sku}: held {hold}, released {release}, shipped {ship}"
            ));
        }
    }
    Ok(())
}

/// What holds when every handler has caught up.
pub fn at_rest(world: &World, tasks: &[Task]) -> Result<(), String> {
    for (key, entity) in world.entities() {
        match (key, entity) {
            (Key::Product(sku), Entity::Product(chain)) => {
                for entry in chain.last.iter().flat_map(|p| &p.in_flight) {
                    recorded(world, &entry.mark).map_err(|why| format!("{sku} lists {entry:?}: {why}"))?;
                }
            }
            (Key::Reservation(order), Entity::Reservation(_)) => kept_out(world, key, order)?,
            (Key::Adjustment(id), Entity::Adjustment(_)) => adjusted(world, key, id)?,
            _ => {}
        }
    }
    for (worker, task) in world.workers.iter().zip(tasks) {
        if let Life::Done(outcome) = &worker.life {
            agrees(world, task, outcome)?;
        }
    }
    Ok(())
}

/// What is left in a list may be dropped by anybody.
fn recorded(world: &World, mark: &Mark) -> Result<(), String> {
    let status = world
        .reservation(&Key::Reservation(mark.id.clone()))
        .map(|r| r.status);
    let fits = match mark.kind {
        Move::Hold => matches!(
            status,
            Some(ReservationStatus::Held | ReservationStatus::Released | ReservationStatus::Shipped)
        ),
        Move::Release => status == Some(ReservationStatus::Released),
        Move::Ship => status == Some(ReservationStatus::Shipped),
        Move::Adjust => world
            .adjustment(&Key::Adjustment(mark.id.clone()))
            .is_some_and(|a| a.status == AdjustmentStatus::Applied),
    };
    if fits {
        Ok(())
    } else {
        Err(format!("its reservation is {status:?}"))
    }
}

/// Nothing is reserved by an order that did not get it.
fn kept_out(world: &World, key: &Key, order: &Token) -> Result<(), String> {
    let against = world.reservation(key).is_none_or(|r| {
        matches!(
            r.status,
            ReservationStatus::Refused | ReservationStatus::Forbidden
        )
    });
    match world
        .audit
        .moved
        .iter()
        .find(|((_, mark), _)| against && mark.id == *order)
    {
        Some(((sku, mark), units)) => Err(format!(
            "{order} is decided against, but {mark:?} of {units} {sku} is left"
        )),
        None => Ok(()),
    }
}

fn adjusted(world: &World, key: &Key, id: &Token) -> Result<(), String> {
    let Some(adjustment) = world.adjustment(key) else {
        return Ok(());
    };
    let expected = match adjustment.status {
        AdjustmentStatus::Applied => adjustment.quantity,
        AdjustmentStatus::Refused => 0,
        AdjustmentStatus::Requested => return Err(format!("{id} is left requested")),
    };
    match world.audit.net(&adjustment.sku, Move::Adjust, id) {
        net if net == expected => Ok(()),
        net => Err(format!("{id} is {:?} but moved {net}", adjustment.status)),
    }
}

/// Every worker was told what the journal says.
fn agrees(world: &World, task: &Task, outcome: &Outcome) -> Result<(), String> {
    let (name, id) = task.name.split_once(' ').unwrap();
    let id: Token = id.trim_end_matches('\'').parse().unwrap();
    let status = world.reservation(&Key::Reservation(id.clone())).map(|r| r.status);
    let fits = match (name, outcome) {
        ("reserve" | "settle", Outcome::Held) => matches!(
            status,
            Some(ReservationStatus::Held | ReservationStatus::Released | ReservationStatus::Shipped)
        ),
        (_, Outcome::Refused { .. }) => status == Some(ReservationStatus::Refused),
        (_, Outcome::Forbidden) => status == Some(ReservationStatus::Forbidden),
        ("release" | "ship", Outcome::Released) => status == Some(ReservationStatus::Released),
        ("release" | "ship", Outcome::Shipped) => status == Some(ReservationStatus::Shipped),
        ("release" | "ship", Outcome::Absent) => status.is_none(),
        ("adjust", Outcome::Adjusted { .. }) => world
            .adjustment(&Key::Adjustment(id))
            .is_some_and(|a| a.status == AdjustmentStatus::Applied),
        ("adjust", Outcome::NotAdjusted { .. }) => world
            .adjustment(&Key::Adjustment(id))
            .is_some_and(|a| a.status == AdjustmentStatus::Refused),
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(format!(
            "{} was told {outcome:?}; the reservation is {status:?}",
            task.name
        ))
    }
}
