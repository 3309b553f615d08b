//! The payment worker charges an order at the payment provider, and gives the money back if the order cannot be
//! fulfilled. Every request carries the effect's key as its `Idempotency-Key`, so that any number of attempts, by
//! any number of replicas, is one charge and at most one refund.

mod provider;

use checkout::{Checkout, Money, OrderCreated, Payment, PaymentFailed, PaymentProcessed, PaymentRefunded};
use jetsaga::{Compensate, Effect, Hidden, Nats, Outcome, Perform, Settled, Worker, clap, done, refuse};
use provider::{Charged, Outcome as KeyOutcome, Provider};

/// Where the payment provider is if nobody says it.
pub const DEFAULT_PROVIDER_URL: &str = "http://127.0.0.1:4242";
/// Reads where it is.
pub const PROVIDER_URL: Hidden<String> =
    Hidden::base_url("PAYMENT_PROVIDER_URL", "a URL such as http://127.0.0.1:4242");

/// Flags of the payment worker.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Args {
    /// Where the payment provider is.
    #[arg(
        long,
        env = "PAYMENT_PROVIDER_URL",
        default_value = DEFAULT_PROVIDER_URL,
        hide_env_values = true,
        value_parser = PROVIDER_URL
    )]
    pub payment_provider_url: String,

    /// The currency that orders are charged in: three letters.
    #[arg(long, env = "PAYMENT_CURRENCY", default_value = "usd", value_parser = currency)]
    pub payment_currency: String,
}

/// The worker.
///
/// # Errors
/// When the checkout is no plan, or the provider's client cannot be made.
pub async fn worker(args: Args, _: Nats) -> anyhow::Result<Worker> {
    charging(args)
}

/// The same, told by its flags alone.
///
/// # Errors
/// When the checkout is no plan, or the provider's client cannot be made.
pub fn charging(args: Args) -> anyhow::Result<Worker> {
    let bank = Bank {
        provider: Provider::new(args.payment_provider_url, args.payment_currency)?,
    };
    Ok(Worker::new("payment").step::<Checkout, Payment>(bank)?)
}

struct Bank {
    provider: Provider,
}

impl Perform<Payment> for Bank {
    async fn run(
        &self,
        effect: &Effect,
        order: OrderCreated,
    ) -> anyhow::Result<Outcome<PaymentProcessed, PaymentFailed>> {
        let order_id = order.order_id.clone();
        if order.total_amount == Money::default() {
            return done(processed(order, "nothing-to-pay".to_owned()));
        }
        match self.provider.charge(&effect.key(), &order).await? {
            Charged::Approved(charge) => done(processed(order, charge)),
            Charged::Declined => refuse(failed(order_id, "the card was declined")),
            Charged::Forbidden => refuse(failed(order_id, "cancelled")),
        }
    }

    async fn settle(
        &self,
        effect: &Effect,
        order: OrderCreated,
    ) -> anyhow::Result<Settled<PaymentProcessed, PaymentFailed>> {
        Ok(match self.provider.settle(&effect.key()).await? {
            KeyOutcome::Succeeded(charge) => Settled::Happened(processed(order, charge)),
            KeyOutcome::Declined => Settled::Refused(failed(order.order_id, "the card was declined")),
            KeyOutcome::Forbidden => Settled::Forbidden,
        })
    }
}

impl Compensate<Payment> for Bank {
    async fn undo(&self, effect: &Effect, paid: PaymentProcessed) -> anyhow::Result<PaymentRefunded> {
        let refund_id = if paid.amount == Money::default() {
            "nothing-to-refund".to_owned()
        } else {
            self.provider
                .refund(&effect.key(), &effect.forward_key(), &paid)
                .await?
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

fn failed(order_id: jetsaga::Token, reason: &str) -> PaymentFailed {
    PaymentFailed {
        order_id,
        reason: reason.to_owned(),
    }
}

fn currency(text: &str) -> Result<String, String> {
    if text.len() == 3 && text.bytes().all(|b| b.is_ascii_lowercase()) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "PAYMENT_CURRENCY is {text:?}; it takes three small letters, such as usd"
    ))
}
