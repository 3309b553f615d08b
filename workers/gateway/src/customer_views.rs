//! Customers, as they are written over HTTP.

use checkout::Address;
use customer::CustomerVersion;
use jetsaga::{Timestamp, Token};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{orders::HistoryEvent, shapes::PostalAddress};

/// Who becomes a customer.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"name": "Ada", "email": "ada@example.org", "address": {"street": "123 Main St", "city": "Anytown", "zip": "12345"}}))]
pub(crate) struct Newcomer {
    /// 1 to 64 characters of A-Z a-z 0-9 _ -; made by the gateway if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    pub(crate) customer_id: Option<Token>,
    /// What they are called: 1 to 200 characters.
    pub(crate) name: String,
    /// Where they are written to.
    #[schema(format = Email, max_length = 254)]
    pub(crate) email: String,
    /// Where they live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PostalAddress>)]
    pub(crate) address: Option<Address>,
}

/// What changes: an address or an email, not both.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.com"}))]
pub(crate) struct Change {
    /// Where they live now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PostalAddress>)]
    pub(crate) address: Option<Address>,
    /// Where they are written to now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<String>,
}

/// A customer who was created, changed or forgotten.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"customerId": "CUST-12345", "sequence": 18}))]
pub(crate) struct Changed {
    /// The customer.
    #[schema(value_type = String)]
    pub(crate) customer_id: Token,
    /// The sequence of the event in the journal: the `ETag` of the customer after it.
    pub(crate) sequence: u64,
}

/// A customer after one of their events. What is erased is `null`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CustomerView {
    /// Which customer.
    #[schema(value_type = String)]
    pub(crate) customer_id: Token,
    /// What they are called.
    pub(crate) name: Option<String>,
    /// Where they are written to.
    pub(crate) email: Option<String>,
    /// Where they live.
    #[schema(value_type = Option<PostalAddress>)]
    pub(crate) address: Option<Address>,
    /// True once they are forgotten.
    pub(crate) erased: bool,
    /// How many events they have.
    pub(crate) events: u64,
    /// The sequence in the journal of the event that this is the state after.
    pub(crate) sequence: u64,
    /// When that event was stored.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) stored_at: Timestamp,
}

/// What happened to a customer, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CustomerHistory {
    /// Which customer.
    #[schema(value_type = String)]
    pub(crate) id: Token,
    /// Their events.
    pub(crate) events: Vec<HistoryEvent>,
    /// `before` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<u64>,
}

impl CustomerView {
    pub(crate) fn of(found: CustomerVersion) -> Self {
        let customer = found.state.entity;
        Self {
            name: customer.name.known().cloned(),
            email: customer.email.known().cloned(),
            address: customer
                .address
                .as_ref()
                .and_then(|address| address.known().cloned()),
            customer_id: customer.customer_id,
            erased: customer.erased,
            events: found.state.events,
            sequence: found.sequence,
            stored_at: found.stored_at,
        }
    }
}
