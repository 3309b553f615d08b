use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use checkout::{Checkout, Money, OrderCreated, Payment, PaymentFailed, PaymentProcessed, PaymentRefunded};
use engine::{Compensate, Effect, Outcome, Perform, Settled, Worker, done, now, refuse};
use saga::Timestamp;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{
    Fault, Memory,
    bank::{Bank, Order, Outcome as KeyOutcome, Wish},
};

/// How long a payment worker waits for the provider.
const PATIENCE: Duration = Duration::from_secs(15);

/// The payment provider, behind a network that loses, delays and repeats.
#[derive(Clone, Debug)]
pub struct Provider {
    memory: Memory,
    bank: Arc<Mutex<Bank>>,
    down_until: Arc<Mutex<Timestamp>>,
}

impl Provider {
    /// A provider with an empty book.
    pub fn new(memory: Memory) -> Self {
        Self {
            memory,
            bank: Arc::default(),
            down_until: Arc::new(Mutex::new(Timestamp::EPOCH)),
        }
    }

    /// Its book.
    pub fn bank(&self) -> MutexGuard<'_, Bank> {
        self.bank.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For so long nobody is there.
    pub fn go_down(&self, pause: Duration) {
        *self.down_until.lock().unwrap_or_else(PoisonError::into_inner) = now().after(pause);
    }

    fn is_down(&self) -> bool {
        now() < *self.down_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks. An error leaves open what happened.
    async fn ask(&self, order: Order) -> anyhow::Result<KeyOutcome> {
        let memory = &self.memory;
        memory.story().note("provider", || format!("is asked {order:?}"));
        if self.is_down() {
            memory.travel().await;
            bail!("nobody is there");
        }
        if memory.strikes(Fault::EffectFailed) {
            memory.travel().await;
            bail!("the provider answers 503");
        }
        if memory.strikes(Fault::HandlerPanics) {
            panicked();
        }
        let (tell, hear) = oneshot::channel();
        if memory.strikes(Fault::EffectLost) {
            drop(tell);
            sleep(PATIENCE).await;
        } else {
            tokio::spawn(self.clone().take(order, tell));
        }
        let answer = timeout(PATIENCE, hear).await;
        let answer = answer.context("no answer in time")?.context("no answer")?;
        answer.map_err(|refusal| anyhow!("the provider refuses: {refusal}"))
    }

    /// A request on its way, whatever becomes of who sent it.
    async fn take(self, order: Order, tell: oneshot::Sender<Result<KeyOutcome, String>>) {
        let memory = &self.memory;
        let is_heard = !memory.strikes(Fault::EffectAnswerLost);
        if memory.strikes(Fault::EffectLate) {
            sleep(PATIENCE + memory.throw(|dice| dice.millis(1, 60_000))).await;
        } else if memory.strikes(Fault::EffectSlow) {
            sleep(memory.throw(|dice| dice.millis(10_500, 14_000))).await;
        }
        memory.travel().await;
        let answer = self.bank().decide(&order);
        memory.story().note("provider", || {
            let unheard = if is_heard { "" } else { ", but nobody hears it" };
            format!("says {answer:?} to {}{unheard}", order.key)
        });
        memory.travel().await;
        if is_heard {
            let _ = tell.send(answer); // nobody may wait any more
        } else {
            sleep(PATIENCE).await;
        }
    }
}

/// What a handler does when its author did not think of something.
#[expect(clippy::panic, reason = "that is what the run wants to see survived")]
fn panicked() {
    panic!("by the script, in the payment handler");
}

/// The payment worker, in front of this provider.
///
/// # Errors
/// When the checkout is no plan.
pub(super) fn worker(provider: Provider) -> anyhow::Result<Worker> {
    Ok(Worker::new("payment").step::<Checkout, Payment>(Cashier { provider })?)
}

struct Cashier {
    provider: Provider,
}

impl Cashier {
    async fn ask(
        &self,
        key: &str,
        order: &saga::Token,
        amount: Money,
        wish: Wish,
    ) -> anyhow::Result<KeyOutcome> {
        let order = Order {
            key: key.to_owned(),
            amount: amount.minor(),
            reference: order.to_string(),
            wish,
        };
        self.provider.ask(order).await
    }
}

impl Perform<Payment> for Cashier {
    async fn run(
        &self,
        effect: &Effect,
        order: OrderCreated,
    ) -> anyhow::Result<Outcome<PaymentProcessed, PaymentFailed>> {
        if order.total_amount == Money::default() {
            return done(processed(order, "nothing-to-pay".to_owned()));
        }
        let method = order.payment_method.as_ref();
        let declined = method.is_some_and(|method| method.as_str() == "tok_declined");
        let (key, wish) = (effect.key(), Wish::Charge { declined });
        match self
            .ask(key.as_str(), &order.order_id, order.total_amount, wish)
            .await?
        {
            KeyOutcome::Succeeded(charge) => done(processed(order, charge)),
            KeyOutcome::Declined => refuse(failed(order, "the card was declined")),
            KeyOutcome::Forbidden => refuse(failed(order, "cancelled")),
        }
    }

    async fn settle(
        &self,
        effect: &Effect,
        order: OrderCreated,
    ) -> anyhow::Result<Settled<PaymentProcessed, PaymentFailed>> {
        let key = effect.key();
        let answer = self.ask(key.as_str(), &order.order_id, order.total_amount, Wish::Settle);
        Ok(match answer.await? {
            KeyOutcome::Succeeded(charge) => Settled::Happened(processed(order, charge)),
            KeyOutcome::Declined => Settled::Refused(failed(order, "the card was declined")),
            KeyOutcome::Forbidden => Settled::Forbidden,
        })
    }
}

impl Compensate<Payment> for Cashier {
    async fn undo(&self, effect: &Effect, paid: PaymentProcessed) -> anyhow::Result<PaymentRefunded> {
        let refund_id = if paid.amount == Money::default() {
            "nothing-to-refund".to_owned()
        } else {
            let charge_key = effect.forward_key().as_str().to_owned();
            let (key, wish) = (effect.key(), Wish::Refund { charge_key });
            match self.ask(key.as_str(), &paid.order_id, paid.amount, wish).await? {
                KeyOutcome::Succeeded(refund) => refund,
                other => bail!("a refund cannot end {other:?}"),
            }
        };
        Ok(PaymentRefunded {
            order_id: paid.order_id,
            refund_id,
            amount: paid.amount,
        })
    }
}

fn processed(order: OrderCreated, payment_id: String) -> PaymentProcessed {
    PaymentProcessed {
        order_id: order.order_id,
        payment_id,
        amount: order.total_amount,
    }
}

fn failed(order: OrderCreated, reason: &str) -> PaymentFailed {
    PaymentFailed {
        order_id: order.order_id,
        reason: reason.to_owned(),
    }
}
