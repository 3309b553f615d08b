use checkout::Address;
use jetsaga::{Fact, Personal, Token, one_of};
use serde::{Deserialize, Serialize};

/// Somebody became a customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CustomerCreated {
    /// The customer.
    pub customer_id: Token,
    /// What they are called.
    pub name: Personal<String>,
    /// Where they are written to.
    pub email: Personal<String>,
    /// Where they live, if they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Personal<Address>>,
}

/// A customer lives elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CustomerAddressUpdated {
    /// The customer.
    pub customer_id: Token,
    /// Where.
    pub address: Personal<Address>,
}

/// A customer is written to at another address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CustomerEmailChanged {
    /// The customer.
    pub customer_id: Token,
    /// Where.
    pub email: Personal<String>,
}

/// What was known about a person is erased: in this event, and in every one before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CustomerErased {
    /// The customer.
    pub customer_id: Token,
}

macro_rules! facts {
    ($($name:ident),+) => {
        $(impl Fact for $name { const TYPE: &'static str = stringify!($name); })+

        /// The JSON Schema of the payload of an event type; `None` if a customer has none such.
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
    CustomerCreated,
    CustomerAddressUpdated,
    CustomerEmailChanged,
    CustomerErased
);

one_of! {
    /// What can happen to a customer.
    pub enum CustomerEvent { CustomerCreated, CustomerAddressUpdated, CustomerEmailChanged, CustomerErased }
}
