use super::{
    Books, Finds, Invariant, Message, Name,
    source::parse,
    stock::Movers,
    thread::{RawEvent, Told},
};

impl Books {
    /// Takes the next message of the journal.
    pub fn message(&mut self, message: &Message) {
        self.counts.events += 1;
        let Message {
            sequence, subject, ..
        } = message;
        let Some((name, what)) = Name::of_subject(subject) else {
            let sentence = format!("message {sequence} is on {subject}, which is no subject of an event");
            return self.find(Invariant::I7, "journal", sentence);
        };
        let event = self.event(message, &name, what.as_str());
        self.take(&Told {
            message,
            name: &name,
            what: what.as_str(),
            event: event.as_ref(),
        });
    }

    /// The event that the message holds, which is what the subject says and has an id of its own.
    fn event(&mut self, message: &Message, name: &Name, what: &str) -> Option<RawEvent> {
        let sequence = message.sequence;
        let finds = &mut Finds {
            entity: name,
            out: &mut self.found,
        };
        if sequence <= self.last {
            finds.add(
                Invariant::I3,
                format!("event {sequence} comes after {}", self.last),
            );
        }
        self.last = sequence;
        let event = match parse::<RawEvent>(message.body.get()) {
            Ok(event) => event,
            Err(why) => {
                finds.add(Invariant::I7, format!("message {sequence} is no event: {why}"));
                return None;
            }
        };
        if event.event_type != *what {
            let (found, subject) = (&event.event_type, &message.subject);
            finds.add(
                Invariant::I7,
                format!("event {sequence} is a {found} on {subject}"),
            );
        }
        if !self.ids.insert(event.event_id) {
            let id = event.event_id;
            finds.add(Invariant::I3, format!("event id {id} comes twice in the journal"));
        }
        Some(event)
    }

    fn take(&mut self, told: &Told<'_>) {
        let Self {
            plan,
            orders,
            products,
            adjustments,
            others,
            found,
            ..
        } = self;
        let finds = &mut Finds {
            entity: told.name,
            out: found,
        };
        let id = &told.name.id;
        match told.name.kind.as_str() {
            "checkout" => orders.entry(id.clone()).or_default().take(told, plan, finds),
            "reservation" => orders.entry(id.clone()).or_default().reserve(told, plan, finds),
            "adjustment" => adjustments.entry(id.clone()).or_default().take(told, plan, finds),
            "stock" => {
                let movers = &mut Movers { orders, adjustments };
                let product = products.entry(id.clone()).or_default();
                product.take(told, plan, movers, finds);
            }
            _ => {
                let thread = others.entry(told.name.clone()).or_default();
                thread.link(told, finds);
                thread.forget();
            }
        }
    }
}
