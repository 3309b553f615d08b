//! With the feature: a script says what happens at which point.

use std::{
    cell::Cell,
    collections::HashMap,
    fmt,
    future::Future,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use async_nats::HeaderMap;
use bytes::Bytes;
use saga::{EffectKey, EventId, OwnerTrigger, Plan, State, Status, StepStatus, Timestamp, Token};
use tokio::{sync::Notify, time::Instant};

use super::{Flaw, Point};
use crate::{
    AppendError, Effect, broker::Link, delivery::Delivery, ladder::Seen, setback::Setback,
    subject::EntitySubject,
};

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Nothing.
    Nothing,
    /// The worker dies, as far as this message is concerned: nothing more is done for it, and nobody answers for it.
    Crash,
    /// The answer to what was just done is lost. Where nothing was asked, nothing happens.
    Lost,
    /// The code panics.
    Panic,
}

/// A message at a point.
#[derive(Clone, Debug)]
pub struct At {
    /// The consumer.
    pub consumer: String,
    /// The stream that it was published to first.
    pub stream: String,
    /// Where it was published first.
    pub subject: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// What was published.
    pub body: Bytes,
    /// True if it was handed out before.
    pub is_again: bool,
    /// Where it is on its way.
    pub point: Point,
    /// The how-manieth time this message is there in this delivery; the first is 1.
    pub visit: u32,
}

/// What happens to a worker: a bug that is switched on, and a function that says what happens at each point.
#[derive(Clone, Default)]
pub struct Script {
    flaw: Option<Flaw>,
    newer: Option<Newer>,
    hook: Option<Arc<Hook>>,
}

/// In what a worker is newer than this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newer {
    /// It writes fields that this code does not know, under the same version.
    Fields,
    /// Its definition of the saga has the next version.
    Version,
}

/// What happens to a message at a point.
pub type Hook = dyn Fn(&At) -> Happening + Send + Sync;

/// The answer to what was just done is lost.
#[derive(Clone, Copy, Debug)]
pub struct Lost;

struct Journey {
    script: Script,
    at: At,
    visits: Mutex<HashMap<Point, u32>>,
    crashed: Notify,
}

tokio::task_local! {
    static JOURNEY: Arc<Journey>;
}

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

impl Script {
    /// The script of a process: the bug that `JETSAGA_FLAW` names, a death by chance at any point, with the probability
    /// that `JETSAGA_CRASH` gives, and what `JETSAGA_NEWER` says that it is ahead in.
    ///
    /// # Errors
    /// Names the variable, its value and what would be right.
    pub fn from_environment() -> Result<Self, String> {
        let flaw = std::env::var("JETSAGA_FLAW").ok().filter(|name| !name.is_empty());
        let flaw = flaw.map(|name| name.parse()).transpose()?;
        let rate = std::env::var("JETSAGA_CRASH")
            .ok()
            .filter(|rate| !rate.is_empty());
        let rate: Option<f64> = rate
            .map(|rate| {
                rate.parse()
                    .map_err(|_| format!("JETSAGA_CRASH is {rate:?}; it takes a probability such as 0.001"))
            })
            .transpose()?;
        let hook = rate.map(|rate| -> Arc<Hook> {
            Arc::new(move |_| {
                if f64::from(crate::clock::dice()) / f64::from(u32::MAX) < rate {
                    std::process::abort();
                }
                Happening::Nothing
            })
        });
        let newer = std::env::var("JETSAGA_NEWER")
            .ok()
            .filter(|name| !name.is_empty());
        let newer = newer.map(|name| name.parse()).transpose()?;
        Ok(Self { flaw, newer, hook })
    }

    /// A script with this bug switched on.
    #[must_use]
    pub fn with_flaw(mut self, flaw: Flaw) -> Self {
        self.flaw = Some(flaw);
        self
    }

    /// A script in which `hook` says what happens.
    #[must_use]
    pub fn with_hook(mut self, hook: impl Fn(&At) -> Happening + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Taken,
        Self::Decoded,
        Self::StateTaken,
        Self::Decided,
        Self::BeforeEffect,
        Self::AfterEffect,
        Self::BeforeAppend,
        Self::AfterAppend,
        Self::BeforeMark,
        Self::AfterMark,
        Self::BeforeTimer,
        Self::AfterTimer,
        Self::BeforeRetry,
        Self::AfterRetry,
        Self::BeforeLetter,
        Self::AfterLetter,
        Self::BeforeAcknowledge,
        Self::Acknowledged,
    ];

    /// True where an answer can be lost.
    pub const fn has_answer(self) -> bool {
        matches!(
            self,
            Self::AfterEffect
                | Self::AfterAppend
                | Self::AfterMark
                | Self::AfterTimer
                | Self::AfterRetry
                | Self::AfterLetter
                | Self::BeforeAcknowledge
        )
    }
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::AckBeforeAppend,
        Self::NoGuard,
        Self::TwoGuards,
        Self::FreshKey,
        Self::UndoUnderForwardKey,
        Self::DroppedOnConflict,
        Self::OpenStepsLeft,
        Self::CancelledTooEarly,
        Self::DecideOnce,
        Self::StaleReads,
        Self::DeadlineAfterPivot,
        Self::JoinFiresEarly,
        Self::SettleUnasked,
        Self::AckBeforeRetry,
    ];
}

impl FromStr for Flaw {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(|flaw| format!("{flaw:?}")).join(", ");
        let found = Self::ALL.into_iter().find(|flaw| format!("{flaw:?}") == name);
        found.ok_or_else(|| format!("JETSAGA_FLAW is {name:?}; it takes one of {}", known()))
    }
}

impl FromStr for Newer {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "fields" => Ok(Self::Fields),
            "version" => Ok(Self::Version),
            _ => Err(format!("JETSAGA_NEWER is {name:?}; it takes fields or version")),
        }
    }
}

/// Asks the script what happens here.
pub(crate) async fn reach(point: Point) -> Result<(), Lost> {
    let Ok(journey) = JOURNEY.try_with(Arc::clone) else {
        return Ok(());
    };
    match journey.happens(point) {
        Happening::Nothing => Ok(()),
        Happening::Lost => {
            if point.has_answer() {
                Err(Lost)
            } else {
                Ok(())
            }
        }
        Happening::Crash => {
            journey.crashed.notify_one();
            std::future::pending().await
        }
        #[expect(clippy::panic, reason = "that is what the script wants to see survived")]
        Happening::Panic => panic!("by the script, at {point:?}"),
    }
}

/// True if this bug is switched on.
pub(crate) fn flawed(flaw: Flaw) -> bool {
    JOURNEY
        .try_with(|journey| journey.script.flaw == Some(flaw))
        .unwrap_or(false)
}

/// True if this worker writes fields that this code does not know.
pub(super) fn has_more() -> bool {
    JOURNEY
        .try_with(|journey| journey.script.newer == Some(Newer::Fields))
        .unwrap_or(false)
}

/// Does `work` for `delivery`, unless the script has the worker die on the way.
pub(crate) async fn survived(
    link: &Link,
    consumer: &str,
    delivery: &Delivery,
    work: impl Future<Output = ()>,
) {
    let journey = Arc::new(Journey {
        script: link.script.clone(),
        at: At {
            consumer: consumer.to_owned(),
            stream: delivery.stream.clone(),
            subject: delivery.subject.clone(),
            headers: delivery.headers.clone(),
            body: delivery.body.clone(),
            is_again: delivery.is_again,
            point: Point::Taken,
            visit: 0,
        },
        visits: Mutex::default(),
        crashed: Notify::new(),
    });
    let work = async {
        if reach(Point::Taken).await.is_ok() {
            work.await;
        }
    };
    tokio::select! {
        biased;
        () = journey.crashed.notified() => {}
        () = JOURNEY.scope(journey.clone(), work) => {}
    }
}

/// What a flawed worker takes the state for.
pub(crate) fn warp(plan: &Plan, state: &mut State, owner: Option<OwnerTrigger>, trigger: EventId) {
    let all = |state: &mut State, from: StepStatus, to: StepStatus| {
        for step in state.steps.values_mut().filter(|step| step.status == from) {
            step.status = to;
        }
    };
    let compensating = state.status == Status::Compensating;
    if owner.is_none() && compensating && flawed(Flaw::OpenStepsLeft) {
        all(state, StepStatus::Open, StepStatus::Refused);
    }
    if owner.is_some() && compensating && flawed(Flaw::CancelledTooEarly) {
        all(state, StepStatus::Open, StepStatus::Waiting);
    }
    if owner == Some(OwnerTrigger::Deadline) && flawed(Flaw::DeadlineAfterPivot) {
        all(state, StepStatus::Open, StepStatus::Waiting);
    }
    if owner.is_none() && state.status == Status::Running && flawed(Flaw::JoinFiresEarly) {
        open_early(plan, state, trigger);
    }
}

/// Opens every step of which one dependency is done, whatever else it waits for.
fn open_early(plan: &Plan, state: &mut State, trigger: EventId) {
    let done = |state: &State, dependency: &saga::Dependency| match dependency {
        saga::Dependency::Start => false,
        saga::Dependency::Step(step) => state.status_of(plan, *step) == StepStatus::Done,
    };
    let early: Vec<Token> = plan
        .steps()
        .filter(|(ix, step)| {
            state.status_of(plan, *ix) == StepStatus::Waiting && step.after.iter().any(|d| done(state, d))
        })
        .map(|(_, step)| step.name.clone())
        .collect();
    for name in early {
        let step = state.steps.entry(name).or_default();
        step.status = StepStatus::Open;
        step.opened_by = Some(trigger);
    }
}

/// The plan as the script's version of the worker has it.
pub(crate) fn version(link: &Link, plan: Arc<Plan>) -> Arc<Plan> {
    if link.script.newer != Some(Newer::Version) {
        return plan;
    }
    let mut next = Plan::clone(&plan);
    next.version += 1;
    Arc::new(next)
}

/// A saga about which nobody owes anything any more.
pub(crate) fn finished(mut seen: Seen) -> Seen {
    seen.state.status = Status::Completed;
    seen
}

/// Another spelling of the same guard, for every other process.
pub(crate) fn another_guard(entity: &EntitySubject) -> String {
    if crate::clock::dice().is_multiple_of(2) {
        format!("evt.*.*.{}", entity.id())
    } else {
        entity.guard()
    }
}

/// A key that no other attempt has.
pub(crate) fn fresh_key(effect: &Effect) -> EffectKey {
    let fresh =
        Token::new(&format!("{}-{}", effect.step, effect.attempt)).unwrap_or_else(|_| effect.step.clone());
    EffectKey::new(&effect.saga, &effect.id, &fresh, effect.direction)
}

/// From now on this thread's time is tokio's, which a test may hold still and move on, beginning at a fixed moment; and
/// its chance is the generator that `seed` starts.
pub fn virtual_time(seed: u64) {
    BEGAN.set(Some(Instant::now()));
    fastrand::seed(seed);
}

pub(crate) fn now() -> Option<Timestamp> {
    let began = BEGAN.get()?;
    let begin = Timestamp::EPOCH.after(std::time::Duration::from_secs(1_800_000_000));
    Some(begin.after(began.elapsed()))
}

pub(crate) fn dice() -> Option<u32> {
    BEGAN.get().map(|_| fastrand::u32(..))
}

impl Journey {
    fn happens(&self, point: Point) -> Happening {
        let Some(hook) = &self.script.hook else {
            return Happening::Nothing;
        };
        let visit = {
            let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
            let visit = visits.entry(point).or_default();
            *visit += 1;
            *visit
        };
        hook(&At {
            point,
            visit,
            ..self.at.clone()
        })
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("flaw", &self.flaw)
            .field("newer", &self.newer)
            .field("hook", &self.hook.is_some())
            .finish()
    }
}

impl From<Lost> for Setback {
    fn from(_: Lost) -> Self {
        Self::Effect(anyhow::anyhow!("the answer was lost"))
    }
}

impl From<Lost> for AppendError {
    fn from(_: Lost) -> Self {
        Self::Unknown("the answer was lost".to_owned())
    }
}
