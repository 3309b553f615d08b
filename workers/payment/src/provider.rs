use std::time::Duration;

use anyhow::Context as _;
use checkout::{OrderCreated, PaymentProcessed};
use jetsaga::{
    EffectKey,
    engine::{TraceContext, use_ring},
};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

/// The provider's HTTP interface, as far as payments use it.
///
/// Every `Err` says that the outcome is unknown, and that the same request may be sent again.
pub(crate) struct Provider {
    client: reqwest::Client,
    url: String,
    currency: String,
}

/// How a charge ended.
pub(crate) enum Charged {
    /// With the provider's name for it.
    Approved(String),
    Declined,
    /// The key was settled before the charge came.
    Forbidden,
}

/// The outcome of a settled key.
pub(crate) enum Outcome {
    /// With the provider's name for the charge.
    Succeeded(String),
    Declined,
    Forbidden,
}

impl Provider {
    pub(crate) fn new(url: String, currency: String) -> anyhow::Result<Self> {
        use_ring();
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(5))
            .build()?;
        Ok(Self {
            client,
            url,
            currency,
        })
    }

    pub(crate) async fn charge(&self, key: &EffectKey, order: &OrderCreated) -> anyhow::Result<Charged> {
        let source = order
            .payment_method
            .as_ref()
            .map_or("tok_ok", |token| token.as_str());
        let body = json!({
            "amount": order.total_amount.minor(),
            "currency": self.currency,
            "reference": order.order_id,
            "customer": order.customer_id,
            "source": source,
        });
        let response = self.send(self.post("/v1/charges", key).json(&body)).await?;
        match response.status() {
            StatusCode::OK => Ok(Charged::Approved(response.json::<Named>().await?.id)),
            StatusCode::PAYMENT_REQUIRED => Ok(Charged::Declined),
            _ => match refusal(response).await {
                error if error.code == "key_forbidden" => Ok(Charged::Forbidden),
                error => anyhow::bail!("the provider refuses the charge: {}", error.message),
            },
        }
    }

    pub(crate) async fn refund(
        &self,
        key: &EffectKey,
        charge: &EffectKey,
        paid: &PaymentProcessed,
    ) -> anyhow::Result<String> {
        let body = json!({
            "charge_key": charge.as_str(),
            "amount": paid.amount.minor(),
            "reference": paid.order_id,
        });
        let response = self.send(self.post("/v1/refunds", key).json(&body)).await?;
        if response.status() == StatusCode::OK {
            return Ok(response.json::<Named>().await?.id);
        }
        anyhow::bail!(
            "the provider refuses the refund: {}",
            refusal(response).await.message
        )
    }

    pub(crate) async fn settle(&self, key: &EffectKey) -> anyhow::Result<Outcome> {
        let path = format!("{}/v1/keys/{}/settle", self.url, key.as_str());
        let response = self.send(self.client.post(path)).await?;
        if response.status() != StatusCode::OK {
            anyhow::bail!(
                "the provider does not settle {key}: {}",
                refusal(response).await.message
            );
        }
        let settled: Settled = response.json().await?;
        match (settled.outcome.as_str(), settled.charge) {
            ("succeeded", Some(charge)) => Ok(Outcome::Succeeded(charge.id)),
            ("declined", _) => Ok(Outcome::Declined),
            ("forbidden", _) => Ok(Outcome::Forbidden),
            (other, _) => anyhow::bail!("the provider settles {key} as {other:?}, which says nothing"),
        }
    }

    fn post(&self, path: &str, key: &EffectKey) -> RequestBuilder {
        self.client
            .post(format!("{}{path}", self.url))
            .header("Idempotency-Key", key.as_str())
    }

    /// An answer that says something: a server's own trouble says nothing about the outcome.
    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let trace = jetsaga::engine::trace_context();
        let headers = trace.iter().flat_map(TraceContext::headers);
        let request = headers.fold(request, |request, (name, value)| request.header(name, value));
        let response = request
            .send()
            .await
            .context("no answer from the payment provider")?;
        if response.status().is_server_error() {
            anyhow::bail!("the payment provider answers {}", response.status());
        }
        Ok(response)
    }
}

async fn refusal(response: Response) -> ProviderError {
    let status = response.status();
    match response.json::<ErrorBody>().await {
        Ok(body) => body.error,
        Err(_) => ProviderError {
            code: String::new(),
            message: status.to_string(),
        },
    }
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct Settled {
    outcome: String,
    charge: Option<Named>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ProviderError,
}

#[derive(Deserialize)]
struct ProviderError {
    code: String,
    message: String,
}
