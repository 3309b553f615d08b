//! The words that the tests are written in.

use std::time::Duration;

use saga::{
    Direction, Event, EventId, EvolveError, OwnerAction, OwnerTrigger, Payload, Plan, PlanSpec, STEP_STUCK,
    State, Status, StepAction, StepSpec, StepStatus, StepStuck, Timestamp, Token, decide, decide_owner,
    evolve,
};

/// The checkout, written down by hand: the tests of the core need no domain.
pub(crate) fn checkout() -> PlanSpec {
    PlanSpec {
        saga: "checkout".into(),
        version: 1,
        start: "OrderCreated".into(),
        steps: vec![
            step(
                "payment",
                &["OrderCreated"],
                ["PaymentProcessed", "PaymentFailed", "PaymentRefunded"],
            ),
            step(
                "inventory",
                &["OrderCreated"],
                ["InventoryReserved", "OutOfStock", "InventoryReleased"],
            ),
            step(
                "shipping",
                &["OrderCreated", "PaymentProcessed", "InventoryReserved"],
                ["OrderShipped", "ShippingFailed", ""],
            ),
        ],
        timed_out: "OrderTimedOut".into(),
        cancellation_requested: "OrderCancellationRequested".into(),
        cancelled: "OrderCancelled".into(),
        id_field: "orderId".into(),
    }
}

/// Two steps, the second after the first, both with an undo: what the transition table speaks of.
pub(crate) fn pair() -> PlanSpec {
    PlanSpec {
        saga: "pair".into(),
        steps: vec![
            step(
                "first",
                &["Started"],
                ["FirstDone", "FirstRefused", "FirstUndone"],
            ),
            step(
                "second",
                &["FirstDone"],
                ["SecondDone", "SecondRefused", "SecondUndone"],
            ),
        ],
        start: "Started".into(),
        timed_out: "TimedOut".into(),
        cancellation_requested: "CancellationRequested".into(),
        cancelled: "Cancelled".into(),
        ..checkout()
    }
}

/// A step by its name, what it waits for, and its three outcomes; an empty undo is none.
pub(crate) fn step(name: &str, after: &[&str], [done, refused, undone]: [&str; 3]) -> StepSpec {
    StepSpec {
        name: name.into(),
        after: after.iter().map(|a| (*a).into()).collect(),
        done: done.into(),
        refused: refused.into(),
        undone: Some(undone.to_owned()).filter(|u| !u.is_empty()),
    }
}

/// A saga after some events.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) plan: Plan,
    pub(crate) state: State,
}

/// A checkout after these events, which must be legal.
pub(crate) fn given(events: &[&str]) -> Given {
    given_of(&checkout(), events)
}

/// A saga after these events, which must be legal.
pub(crate) fn given_of(spec: &PlanSpec, events: &[&str]) -> Given {
    let plan = Plan::compile(spec).unwrap();
    let start = evolve(&plan, None, &event(events[0], 1), &id(), 0).unwrap();
    let begun = Given { plan, state: start };
    events[1..]
        .iter()
        .fold(begun, |saga, event| saga.after(event).unwrap())
}

/// Any state at all of [`pair`], reachable or not. The start event opened both steps.
pub(crate) fn any_state(saga: Status, first: StepStatus, second: StepStatus) -> Given {
    let mut given = given_of(&pair(), &["Started"]);
    given.state.status = saga;
    for (name, status) in [("first", first), ("second", second)] {
        let entry = given.state.steps.get_mut(name).unwrap();
        entry.status = status;
        entry.opened_by = Some(event_id("Started"));
    }
    given
}

impl Given {
    /// What the worker of `step` does about the event `trigger`.
    pub(crate) fn worker(&self, step: &str, trigger: &str) -> StepAction {
        let step = self.plan.find(step).unwrap();
        decide(&self.plan, &self.state, step, event_id(trigger))
    }

    /// What the owner does about `trigger`.
    pub(crate) fn owner(&self, trigger: OwnerTrigger) -> OwnerAction {
        decide_owner(&self.plan, &self.state, trigger)
    }

    /// The saga after one more event.
    pub(crate) fn after(&self, event_type: &str) -> Result<Self, EvolveError> {
        self.after_event(&event(event_type, self.state.events + 1))
    }

    /// The saga after one more event.
    pub(crate) fn after_event(&self, event: &Event<State>) -> Result<Self, EvolveError> {
        let guard = sequence(self.state.events);
        let state = evolve(&self.plan, Some(&self.state), event, &id(), guard)?;
        Ok(Self {
            plan: self.plan.clone(),
            state,
        })
    }

    /// Why `event_type` cannot follow.
    pub(crate) fn refusal(&self, event_type: &str) -> String {
        self.after(event_type).unwrap_err().to_string()
    }

    /// Where it stands, in one line: `running: payment open, …`.
    pub(crate) fn shows(&self) -> String {
        let steps: Vec<String> = self
            .plan
            .steps()
            .map(|(ix, s)| format!("{} {}", s.name, self.state.status_of(&self.plan, ix)))
            .collect();
        format!("{}: {}", self.state.status, steps.join(", "))
    }
}

/// The `n`th event of a saga: an id from its type, a time from its place, and a payload that names it.
pub(crate) fn event(event_type: &str, n: u64) -> Event<State> {
    let at = Timestamp::EPOCH.after(Duration::from_secs(n));
    let payload = Payload::of(&serde_json::json!({ "by": event_type })).unwrap();
    Event::new(event_id(event_type), token(event_type), at, payload)
}

/// The event that says that `step` makes no progress.
pub(crate) fn stuck(step: &str, direction: Direction, n: u64) -> Event<State> {
    let reason = "connection refused".to_owned();
    let payload = Payload::of(&StepStuck {
        step: token(step),
        direction,
        reason,
    });
    Event {
        payload: payload.unwrap(),
        ..event(STEP_STUCK, n)
    }
}

/// The stream sequence of the `n`th event: other sagas' events lie between.
pub(crate) fn sequence(n: u64) -> u64 {
    100 + 7 * n
}

pub(crate) fn event_id(event_type: &str) -> EventId {
    EventId::derived("checkout", "ORD-1", event_type)
}

pub(crate) fn id() -> Token {
    token("ORD-1")
}

pub(crate) fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}
