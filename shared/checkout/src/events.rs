use saga::{Fact, Payload, Refusal, State, Token, why_not};
use serde::{Deserialize, Serialize};

use crate::Money;

/// Somebody ordered something. The input of every step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderCreated {
    /// The order, which is also the saga's id.
    pub order_id: Token,
    /// Who ordered.
    pub customer_id: Token,
    /// What: 1 to 1,000 items.
    pub items: Vec<Item>,
    /// What it costs altogether.
    pub total_amount: Money,
    /// Where it goes.
    pub shipping_address: Address,
    /// The provider's token of the card to charge; the provider's default card if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<Token>,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Item {
    /// The product, which is also the stock entity's id.
    pub product_id: Token,
    /// How many: 1 to 10,000.
    pub quantity: u32,
    /// What one costs. If every item says so, the total has to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Money>,
}

/// Where an order goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Address {
    /// Street and number.
    pub street: String,
    /// City.
    pub city: String,
    /// Postal code.
    pub zip: String,
}

/// The order is paid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentProcessed {
    /// Which order.
    pub order_id: Token,
    /// The provider's name for the charge.
    pub payment_id: String,
    /// What was charged.
    pub amount: Money,
}

/// The order cannot be paid; nothing was charged and nothing will be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentFailed {
    /// Which order.
    pub order_id: Token,
    /// Why.
    pub reason: String,
}

/// What was charged is given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentRefunded {
    /// Which order.
    pub order_id: Token,
    /// The provider's name for the refund.
    pub refund_id: String,
    /// What was given back.
    pub amount: Money,
}

/// Every item is set aside for the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InventoryReserved {
    /// Which order.
    pub order_id: Token,
}

/// An item is missing; nothing is set aside and nothing will be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OutOfStock {
    /// Which order.
    pub order_id: Token,
    /// Why.
    pub reason: String,
}

/// What was set aside is back on the shelf.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InventoryReleased {
    /// Which order.
    pub order_id: Token,
}

/// The order is on its way. It completes the checkout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderShipped {
    /// Which order.
    pub order_id: Token,
    /// The carrier's name for the parcel.
    pub tracking_id: String,
}

/// The carrier does not take it; nothing is on its way and nothing will be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ShippingFailed {
    /// Which order.
    pub order_id: Token,
    /// Why.
    pub reason: String,
}

/// The payload of `OrderTimedOut`, `OrderCancellationRequested` and `OrderCancelled`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderCancelled {
    /// Which order.
    pub order_id: Token,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

macro_rules! facts {
    ($($name:ident),+ $(,)?) => {
        $(impl Fact for $name { const TYPE: &'static str = stringify!($name); })+

        /// Reads a payload as what this event type has.
        ///
        /// # Errors
        /// Names the field at fault and what would be right; or the event type, if the checkout has none such.
        pub fn check_payload(event_type: &str, payload: &Payload) -> Result<(), String> {
            match event_type {
                $(<$name as Fact>::TYPE => match payload.read::<$name>() {
                    Ok(_) => Ok(()),
                    Err(_) => Err(why_not::<$name>("payload", payload.text().as_bytes())),
                },)+
                other => Err(format!("the checkout has no payload for {other}")),
            }
        }

        /// The JSON Schema of the payload of an event type; `None` if the checkout has none such.
        #[cfg(feature = "schema")]
        pub fn payload_schema(event_type: &str) -> Option<schemars::Schema> {
            match event_type {
                $(<$name as Fact>::TYPE => Some(schemars::schema_for!($name)),)+
                _ => None,
            }
        }
    };
}
facts!(
    OrderCreated,
    OrderCancelled,
    PaymentProcessed,
    PaymentFailed,
    PaymentRefunded,
    InventoryReserved,
    OutOfStock,
    InventoryReleased,
    OrderShipped,
    ShippingFailed,
);

macro_rules! refusals {
    ($($name:ident),+) => { $(impl Refusal for $name {
        fn forbidden(state: &State, reason: &str) -> Self {
            Self { order_id: state.id.clone(), reason: reason.to_owned() }
        }
        fn reason(&self) -> String {
            self.reason.clone()
        }
    })+ };
}
refusals!(PaymentFailed, OutOfStock, ShippingFailed);
