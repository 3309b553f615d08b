use super::{
    Books, Entry, Letter, Name, Request,
    order::{Order, cents},
};

impl Books {
    /// Everything that is known of an entity, named `<kind>.<id>`, a line for each event, ledger entry, letter and
    /// request; of a product, the last events. Empty for what is no entity.
    pub fn story(&self, entity: &str) -> Vec<String> {
        let Some(name) = Name::of_key(entity) else {
            return Vec::new();
        };
        let lines = match name.kind.as_str() {
            "checkout" | "reservation" => {
                return self.orders.get(&name.id).map(Order::story).unwrap_or_default();
            }
            "stock" => self
                .products
                .get(&name.id)
                .map(|it| it.thread.tell().collect::<Vec<_>>()),
            "adjustment" => self
                .adjustments
                .get(&name.id)
                .map(|it| it.thread.tell().collect()),
            _ => self.others.get(&name).map(|it| it.tell().collect()),
        };
        lines
            .unwrap_or_default()
            .into_iter()
            .map(|(_, line)| line)
            .collect()
    }
}

impl Entry {
    pub(super) fn tell(&self) -> String {
        let Self {
            seq,
            kind,
            key,
            amount,
            ..
        } = self;
        format!("  ledger {seq}: {kind} {} under {key}", cents(Some(*amount)))
    }
}

impl Letter {
    pub(super) fn tell(&self) -> String {
        let Self {
            sequence,
            reason,
            consumer,
            detail,
            ..
        } = self;
        format!("  letter {sequence}: {reason}, buried by {consumer}: {detail}")
    }
}

impl Request {
    pub(super) fn tell(&self) -> String {
        let Self {
            event_type,
            asked_at,
            outcome,
            expected,
            ..
        } = self;
        let sequence = self
            .sequence
            .map(|sequence| format!(" as {sequence}"))
            .unwrap_or_default();
        format!("  asked for {event_type} at {asked_at}, {expected:?}: {outcome:?}{sequence}")
    }
}
