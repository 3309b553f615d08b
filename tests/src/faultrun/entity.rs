use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use checkout::Checkout;
use jetsaga::{Event, Plan, State, Status, Timestamp, Token, saga::evolve, subject::EntitySubject};

/// An event of the journal, as it was heard.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) subject: String,
    pub(super) sequence: u64,
    /// The sequence of the event before it, as the server stored it.
    pub(super) guard: u64,
    pub(super) stored_at: Timestamp,
    pub(super) body: Vec<u8>,
}

/// Every saga as the journal tells it, folded anew while it is told.
pub(super) struct Sagas {
    plan: Plan,
    all: HashMap<String, Saga>,
    /// The sequence of the last event that was heard.
    pub(super) last: u64,
    /// When each event was stored, in the order of the journal.
    pub(super) beats: Vec<Timestamp>,
    /// Every sentence that does not hold.
    pub(super) violations: Vec<String>,
}

/// One saga.
#[derive(Clone, Debug)]
pub(super) struct Saga {
    sequence: u64,
    seen: BTreeSet<Token>,
    /// Its state after its last event.
    pub(super) state: State,
    /// When its last event was stored, if it is final.
    pub(super) ended: Option<Timestamp>,
}

/// The ids that nobody but the nemesis writes events under.
pub(super) const POISON: &str = "POISON-";

impl Sagas {
    /// None yet.
    ///
    /// # Errors
    /// When the checkout is no plan.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            plan: Plan::of::<Checkout>()?,
            all: HashMap::new(),
            last: 0,
            beats: Vec::new(),
            violations: Vec::new(),
        })
    }

    /// Takes in the next event. One chain, no type twice, nothing after the end, and the payloads fold to the states.
    pub(super) fn hear(&mut self, heard: &Heard) {
        if heard.sequence <= self.last {
            return;
        }
        self.last = heard.sequence;
        self.beats.push(heard.stored_at);
        let Some((entity, event_type)) = EntitySubject::parse(&heard.subject) else {
            return;
        };
        let id = entity.id().as_str();
        if id.starts_with(POISON) {
            return;
        }
        let name = format!("{id}: {event_type} at {}", heard.sequence);
        if let Err(why) = self.fold(entity.id(), &event_type, heard) {
            self.violations.push(format!("{name} {why}"));
        }
    }

    fn fold(&mut self, id: &Token, event_type: &Token, heard: &Heard) -> Result<(), String> {
        let before = self.all.get(id.as_str());
        let guard = before.map_or(0, |before| before.sequence);
        let mut wrong = None;
        if heard.guard != guard {
            wrong = Some(format!("rests on {}, not on {guard}", heard.guard));
        }
        if before.is_some_and(|before| before.state.is_final()) {
            wrong = Some("comes after the end".to_owned());
        }
        let mut event: Event<State> =
            serde_json::from_slice(&heard.body).map_err(|error| format!("is no event: {error}"))?;
        let state = event.state.take().ok_or("carries no state")?;
        let event = event.with_state::<()>(None);
        let mut seen = before.map(|before| before.seen.clone()).unwrap_or_default();
        if event_type.as_str() != "StepStuck" && !seen.insert(event_type.clone()) {
            wrong = Some("comes twice".to_owned());
        }
        match evolve(
            &self.plan,
            before.map(|before| &before.state),
            &event,
            id,
            heard.guard,
        ) {
            Ok(folded) if folded == state => {}
            Ok(_) => wrong = wrong.or(Some("carries another state than its payloads fold to".to_owned())),
            Err(error) => wrong = wrong.or(Some(format!("does not follow: {error}"))),
        }
        let ended = state.is_final().then_some(heard.stored_at);
        let saga = Saga {
            sequence: heard.sequence,
            seen,
            state,
            ended,
        };
        self.all.insert(id.to_string(), saga);
        wrong.map_or(Ok(()), Err)
    }

    /// One saga.
    pub(super) fn get(&self, id: &str) -> Option<&Saga> {
        self.all.get(id)
    }

    /// How many ended so.
    pub(super) fn count(&self, status: Status) -> usize {
        self.all
            .values()
            .filter(|saga| saga.state.status == status)
            .count()
    }
}
