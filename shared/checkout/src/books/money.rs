use super::{
    Entry, Finds, Invariant,
    order::{Order, cents},
    path::{End, Leg},
};

/// The way that a key of a payment goes, and the order that it belongs to.
pub(super) fn owner(key: &str) -> Option<(&str, bool)> {
    let (id, way) = key.strip_prefix("checkout:")?.split_once(":payment:")?;
    match way {
        "run" => Some((id, true)),
        "undo" => Some((id, false)),
        _ => None,
    }
}

/// The line by itself: its key is one that this kind of line may have.
pub(super) fn keys(entry: &Entry, finds: &mut Finds<'_>) {
    let Entry { seq, kind, key, .. } = entry;
    let forward = owner(key).map(|(_, forward)| forward);
    let right = match kind.as_str() {
        "charge" | "decline" | "forbid" => forward == Some(true),
        "refund" => forward == Some(false),
        _ => {
            return finds.add(
                Invariant::I5,
                format!("line {seq} of the ledger is a {kind}; nobody knows what that is"),
            );
        }
    };
    if !right {
        finds.add(
            Invariant::I5,
            format!("line {seq} of the ledger is a {kind} under {key}, which is no such key"),
        );
    }
    let charge = entry.charge_key.as_deref().and_then(owner);
    if kind == "refund" && charge.map(|(id, _)| (id, false)) != owner(key) {
        finds.add(
            Invariant::I5,
            format!("line {seq} of the ledger gives back another charge than {key} belongs to"),
        );
    }
    let mismatch = owner(key).zip(entry.reference.as_deref());
    if let Some(((id, _), reference)) = mismatch.filter(|((id, _), reference)| id != reference) {
        finds.add(
            Invariant::I5,
            format!("line {seq} of the ledger is under the key of {id}, but about {reference}"),
        );
    }
}

/// The money of one order: told from the ledger alone, and then compared with what the journal says.
pub(super) fn check(order: &Order, settled: u64, finds: &mut Finds<'_>) {
    if !order.path.begun {
        for entry in &order.entries {
            let Entry { seq, kind, .. } = entry;
            finds.add(
                Invariant::I5,
                format!("line {seq} of the ledger is a {kind} for an order that is not in the journal"),
            );
        }
        return;
    }
    let of = |kind: &'static str| order.entries.iter().filter(move |entry| entry.kind == kind);
    let sum = |kind| of(kind).map(|entry| entry.amount).sum::<u64>();
    for way in [true, false] {
        let under = |entry: &&Entry| owner(&entry.key).is_some_and(|(_, forward)| forward == way);
        let count = order.entries.iter().filter(under).count();
        if count > 1 {
            let key = if way { "the charge" } else { "the refund" };
            finds.add(
                Invariant::I5,
                format!("the key of {key} has {count} outcomes in the ledger"),
            );
        }
    }
    if !order.is_settled(settled) {
        return;
    }
    let completed = order.path.end == Some(End::Completed);
    let due = if completed { order.total.unwrap_or(0) } else { 0 };
    let (charged, refunded) = (sum("charge"), sum("refund"));
    if charged != refunded + due {
        finds.add(
            Invariant::I5,
            format!(
                "{} was charged and {} given back, but {} is due for an order that was {}",
                cents(Some(charged)),
                cents(Some(refunded)),
                cents(Some(due)),
                if completed { "completed" } else { "cancelled" }
            ),
        );
    }
    agrees(order, charged, refunded, finds);
}

/// What the journal says of money happened.
fn agrees(order: &Order, charged: u64, refunded: u64, finds: &mut Finds<'_>) {
    if order.paid.is_some_and(|paid| paid != charged) {
        let (paid, charged) = (cents(order.paid), cents(Some(charged)));
        finds.add(
            Invariant::I5,
            format!("PaymentProcessed says {paid}, but the ledger charged {charged}"),
        );
    }
    if order.refunded.unwrap_or(0) != refunded {
        let (said, refunded) = (cents(order.refunded), cents(Some(refunded)));
        finds.add(
            Invariant::I5,
            format!("the journal says that {said} was given back, but the ledger says {refunded}"),
        );
    }
    let refused = order.path.payment == Leg::Refused;
    let final_no = |entry: &Entry| matches!(entry.kind.as_str(), "decline" | "forbid");
    if refused && !order.entries.iter().any(final_no) {
        finds.add(
            Invariant::I5,
            "PaymentFailed, but the ledger neither declined nor forbade the charge: it may still come",
        );
    }
}
