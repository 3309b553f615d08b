use std::{future::Future, marker::PhantomData, pin::Pin};

use saga::{
    Direction, EffectKey, Fact, Inputs as _, Irreversible, Payload, Plan, Refusal as _, State, Step, Token,
};

use crate::{
    faults::{self, Flaw, flawed},
    letters::Reason,
    setback::Setback,
};

/// The forward half of a step's local transaction.
///
/// Messages of one consumer take turns in one task, so a handler waits by `await`; what blocks its thread belongs into
/// `tokio::task::spawn_blocking`.
///
/// An `Err` means *try again later*: nothing is known, and nothing is recorded. Giving up takes a word:
/// [`refuse`].
pub trait Perform<S: Step>: Send + Sync + 'static {
    /// Makes the effect happen under [`Effect::key`]. It may be called any number of times, by several replicas
    /// at once, and has to come to one outcome for ever under that key.
    fn run(
        &self,
        effect: &Effect,
        input: S::After,
    ) -> impl Future<Output = anyhow::Result<Outcome<S::Done, S::Refused>>> + Send;

    /// Makes the outcome of [`Effect::key`] final: it happened, it was refused, or it is forbidden for ever,
    /// even for a request still on its way. An effect that cannot forbid settles by running again under the
    /// same key, which is what this does unless it is overridden. Only asking never settles.
    fn settle(
        &self,
        effect: &Effect,
        input: S::After,
    ) -> impl Future<Output = anyhow::Result<Settled<S::Done, S::Refused>>> + Send {
        async move {
            Ok(match self.run(effect, input).await? {
                Outcome::Done(fact) => Settled::Happened(fact),
                Outcome::Refused(fact) => Settled::Refused(fact),
            })
        }
    }
}

/// The way back of a step that has one.
pub trait Compensate<S: Step<Undone: Fact>>: Perform<S> {
    /// Takes the effect back under [`Effect::key`], which differs from the forward one. It is never given up,
    /// so it has to succeed in the end.
    fn undo(&self, effect: &Effect, done: S::Done) -> impl Future<Output = anyhow::Result<S::Undone>> + Send;
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<D, R> {
    /// It happened.
    Done(D),
    /// A business no: it did not happen, never will, and nothing is left behind.
    Refused(R),
}

/// What settling found or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled<D, R> {
    /// The effect had happened.
    Happened(D),
    /// It had been refused.
    Refused(R),
    /// It had not happened, and now never will.
    Forbidden,
}

/// What a handler is told about the effect that it is to make, settle or undo.
#[derive(Clone, Debug)]
pub struct Effect {
    /// The saga's name.
    pub saga: Token,
    /// Which saga.
    pub id: Token,
    /// The step's name.
    pub step: Token,
    /// Which way.
    pub direction: Direction,
    /// Which attempt this is; the first is 1. For logs and waiting, never for deciding.
    pub attempt: u32,
}

/// The step is done.
///
/// # Errors
/// Never; it is a `Result` so that a handler can end with it.
pub fn done<D, R>(fact: D) -> anyhow::Result<Outcome<D, R>> {
    Ok(Outcome::Done(fact))
}

/// The step is refused, for good.
///
/// # Errors
/// Never; it is a `Result` so that a handler can end with it.
pub fn refuse<D, R>(fact: R) -> anyhow::Result<Outcome<D, R>> {
    Ok(Outcome::Refused(fact))
}

impl Effect {
    /// The idempotency key of this effect.
    pub fn key(&self) -> EffectKey {
        let direction = match self.direction {
            Direction::Undo if flawed(Flaw::UndoUnderForwardKey) => Direction::Forward,
            direction => direction,
        };
        if flawed(Flaw::FreshKey) && self.attempt > 1 {
            return faults::fresh_key(self);
        }
        EffectKey::new(&self.saga, &self.id, &self.step, direction)
    }

    /// The idempotency key of the forward effect, which an undo takes back.
    pub fn forward_key(&self) -> EffectKey {
        EffectKey::new(&self.saga, &self.id, &self.step, Direction::Forward)
    }
}

/// What the ladder asks of a step, without its types.
pub(crate) trait Act: Send + Sync + 'static {
    fn act<'a>(&'a self, plan: &'a Plan, state: &'a State, effect: Effect, verb: Verb) -> Acting<'a>;
}

pub(crate) type Acting<'a> = Pin<Box<dyn Future<Output = Result<Fate, Setback>> + Send + 'a>>;

/// What the ladder wants of a step.
#[derive(Clone, Debug)]
pub(crate) enum Verb {
    Run,
    /// With the reason that a forbidden effect is refused for.
    Settle(String),
    Undo,
}

/// What came of it, ready to be recorded.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Done(Payload),
    Refused(Payload, String),
    Undone(Payload),
}

/// A step with its handler; `B` says whether there is a way back.
pub(crate) struct Typed<S, H, B> {
    handler: H,
    types: PhantomData<fn() -> (S, B)>,
}

/// Marks a step that can be undone.
pub(crate) enum Reversible {}

impl<S, H, B> Typed<S, H, B> {
    pub(crate) const fn new(handler: H) -> Self {
        Self {
            handler,
            types: PhantomData,
        }
    }
}

impl<S: Step<Undone: Fact>, H: Compensate<S>> Act for Typed<S, H, Reversible> {
    fn act<'a>(&'a self, plan: &'a Plan, state: &'a State, effect: Effect, verb: Verb) -> Acting<'a> {
        Box::pin(async move {
            match verb {
                Verb::Undo => {
                    let done = done_payload::<S>(plan, state)?;
                    let undone = self.handler.undo(&effect, done).await.map_err(Setback::Effect)?;
                    Ok(Fate::Undone(payload(&undone)?))
                }
                forward => go_forward::<S, H>(&self.handler, plan, state, &effect, forward).await,
            }
        })
    }
}

impl<S: Step<Undone = Irreversible>, H: Perform<S>> Act for Typed<S, H, Irreversible> {
    fn act<'a>(&'a self, plan: &'a Plan, state: &'a State, effect: Effect, verb: Verb) -> Acting<'a> {
        Box::pin(async move { go_forward::<S, H>(&self.handler, plan, state, &effect, verb).await })
    }
}

async fn go_forward<S: Step, H: Perform<S>>(
    handler: &H,
    plan: &Plan,
    state: &State,
    effect: &Effect,
    verb: Verb,
) -> Result<Fate, Setback> {
    let input = match S::After::read(plan, state) {
        Ok(Some(input)) => input,
        Ok(None) => return Err(unreadable::<S>("a fact that it waits for is not in the state")),
        Err(error) => return Err(unreadable::<S>(error)),
    };
    let settled = match verb {
        Verb::Run => match handler.run(effect, input).await.map_err(Setback::Effect)? {
            Outcome::Done(fact) => Settled::Happened(fact),
            Outcome::Refused(fact) => Settled::Refused(fact),
        },
        Verb::Settle(_) if flawed(Flaw::SettleUnasked) => Settled::Forbidden,
        Verb::Settle(_) => handler.settle(effect, input).await.map_err(Setback::Effect)?,
        // The plan lets nothing undo a step without an undo; if it did, this says so and nothing happens.
        Verb::Undo => return Err(unreadable::<S>("it has no undo")),
    };
    match settled {
        Settled::Happened(fact) => Ok(Fate::Done(payload(&fact)?)),
        Settled::Refused(fact) => Ok(Fate::Refused(payload(&fact)?, fact.reason())),
        Settled::Forbidden => {
            let reason = if let Verb::Settle(reason) = verb {
                reason
            } else {
                String::new()
            };
            Ok(Fate::Refused(
                payload(&S::Refused::forbidden(state, &reason))?,
                reason,
            ))
        }
    }
}

fn done_payload<S: Step>(plan: &Plan, state: &State) -> Result<S::Done, Setback> {
    let recorded = plan.payload(state, <S::Done as Fact>::TYPE);
    let recorded = recorded.ok_or_else(|| unreadable::<S>("its success is not in the state"))?;
    recorded.read().map_err(|error| unreadable::<S>(error))
}

fn payload<F: Fact>(fact: &F) -> Result<Payload, Setback> {
    Payload::of(fact).map_err(|error| Setback::Effect(error.into()))
}

fn unreadable<S: Step>(why: impl std::fmt::Display) -> Setback {
    Setback::Poison(
        Reason::Undecodable,
        format!("the input of step {}: {why}", S::NAME),
    )
}
