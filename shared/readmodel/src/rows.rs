use std::{fmt, str::FromStr};

use checkout::Money;
use projection::{Record, Value, moment};
use saga::{State, Timestamp, Token};
use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Going forward.
    Running,
    /// Taking back what was done.
    Compensating,
    /// A step of it makes no progress within its limits; it is still tried.
    Stuck,
    /// Shipped. Final.
    Completed,
    /// Taken back. Final.
    Cancelled,
}

/// A text that is no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no status; it takes running, compensating, stuck, completed or cancelled")]
pub struct StatusError(String);

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderRow {
    /// Which one.
    pub order_id: Token,
    /// Whose.
    pub customer_id: Token,
    /// Where it stands.
    pub status: Status,
    /// What it costs.
    pub total: Money,
    /// How many lines it has.
    pub items: u64,
    /// How many pieces altogether.
    pub pieces: u64,
    /// What was charged for it.
    pub charged: Money,
    /// What was given back of that.
    pub refunded: Money,
    /// When the server stored its first event.
    pub created_at: Timestamp,
    /// When the server stored its last event.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it was turned, or what holds it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The sequence of its last event in the journal.
    pub sequence: u64,
}

/// A customer: nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomerRow {
    /// Who.
    pub customer_id: Token,
    /// Orders placed.
    pub orders: u64,
    /// Those that were shipped.
    pub completed: u64,
    /// Those that were taken back.
    pub cancelled: u64,
    /// The totals of all orders.
    pub ordered: Sum,
    /// What was charged, less what was given back.
    pub spent: Sum,
    /// The order placed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_order: Option<Token>,
    /// When that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_order_at: Option<Timestamp>,
    /// When the customer was created; absent for one that is only known from orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When their data changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    /// Whether their data was erased.
    pub erased: bool,
    /// The sequence of the last event that concerns them.
    pub sequence: u64,
}

/// A product's stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductRow {
    /// Which one.
    pub sku: Token,
    /// Units that the next order may take.
    pub on_hand: u64,
    /// Units set aside for an order.
    pub reserved: u64,
    /// Units that have left.
    pub shipped: u64,
    /// When they last changed.
    pub updated_at: Timestamp,
    /// The sequence of its last event in the journal.
    pub sequence: u64,
}

/// A day's money and orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RevenueRow {
    /// The day, in UTC.
    pub day: String,
    /// What came in.
    pub charged: Sum,
    /// What went back.
    pub refunded: Sum,
    /// The first less the second.
    pub net: Sum,
    /// Charges made.
    pub charges: u64,
    /// Refunds made.
    pub refunds: u64,
    /// Orders placed.
    pub orders: u64,
    /// Orders shipped.
    pub completed: u64,
    /// Orders taken back.
    pub cancelled: u64,
}

/// Money added up, in minor units; written as a decimal number, which may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sum(pub i64);

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] = [
        Self::Running,
        Self::Compensating,
        Self::Stuck,
        Self::Completed,
        Self::Cancelled,
    ];

    /// Where the saga stands: one that is held up shows it until it ends.
    pub fn of(state: &State) -> Self {
        match state.status {
            saga::Status::Completed => Self::Completed,
            saga::Status::Cancelled => Self::Cancelled,
            _ if state.stuck().next().is_some() => Self::Stuck,
            saga::Status::Running => Self::Running,
            saga::Status::Compensating => Self::Compensating,
        }
    }

    /// Its name, as it is written and read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Compensating => "compensating",
            Self::Stuck => "stuck",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl FromStr for Status {
    type Err = StatusError;
    fn from_str(text: &str) -> Result<Self, StatusError> {
        let known = Self::ALL.into_iter().find(|status| status.as_str() == text);
        known.ok_or_else(|| StatusError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let minor = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", minor / 100, minor % 100)
    }
}

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = RawValue::from_string(self.to_string()).map_err(S::Error::custom)?;
        number.serialize(serializer)
    }
}

/// The columns of one row of an answer, from the first on. `None` where a table holds what its rule never writes.
pub(crate) struct Cells(std::vec::IntoIter<Value>);

impl Cells {
    pub(crate) fn of(record: Record) -> Self {
        Self(record.into_iter())
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        match self.0.next() {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn integer(&mut self) -> Option<i64> {
        match self.0.next() {
            Some(Value::Integer(number)) => Some(number),
            _ => None,
        }
    }

    pub(crate) fn count(&mut self) -> Option<u64> {
        self.integer().and_then(|number| number.try_into().ok())
    }

    pub(crate) fn token(&mut self) -> Option<Token> {
        self.text().and_then(|text| Token::new(&text).ok())
    }

    pub(crate) fn time(&mut self) -> Option<Timestamp> {
        self.integer().map(moment)
    }

    pub(crate) fn money(&mut self) -> Option<Money> {
        self.count().and_then(Money::from_minor)
    }

    pub(crate) fn sum(&mut self) -> Option<Sum> {
        self.integer().map(Sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_as_decimals() {
        for (minor, text) in [(7550, "75.50"), (-5, "-0.05"), (0, "0.00")] {
            assert_eq!(serde_json::to_string(&Sum(minor)).unwrap(), text);
        }
    }

    #[test]
    fn a_status_is_read_as_it_is_written() {
        for status in Status::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
        }
        assert!(
            "done"
                .parse::<Status>()
                .unwrap_err()
                .to_string()
                .contains("completed")
        );
    }
}
