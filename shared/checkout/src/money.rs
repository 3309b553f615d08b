use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

/// An amount of money in minor units (cents), from 0 to 10,000,000.00.
///
/// It is read from the decimal text of a JSON number and written back as one, two decimals always: `75.5` and
/// `75.50` are the same 7,550 minor units, and no float is ever in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u64);

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Money {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "An amount, exact to the cent: read the decimal text, not a float.",
            "type": "number", "minimum": 0, "maximum": 10_000_000,
        })
    }
}

/// Why a text is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not digits with at most one decimal point.
    #[error("{0:?} is no amount; it takes a plain decimal number such as 75.50")]
    NotDecimal(String),
    /// Below zero.
    #[error("{0:?} is negative; an amount is at least 0")]
    Negative(String),
    /// A fraction of a cent.
    #[error("{0:?} has more than two decimals; amounts are exact to the cent")]
    Precision(String),
    /// Above the limit.
    #[error("{0:?} is over 10000000.00, the largest amount")]
    TooLarge(String),
}

impl Money {
    /// The largest amount: ten million.
    pub const MAX: Self = Self(1_000_000_000);

    /// An amount of `minor` units; `None` above [`Self::MAX`].
    pub const fn from_minor(minor: u64) -> Option<Self> {
        if minor <= Self::MAX.0 {
            Some(Self(minor))
        } else {
            None
        }
    }

    /// The amount in minor units.
    pub const fn minor(self) -> u64 {
        self.0
    }

    /// This amount `quantity` times, in minor units; it may exceed [`Self::MAX`].
    pub const fn times(self, quantity: u32) -> u64 {
        self.0 * quantity as u64
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let shown = || text.chars().take(40).collect::<String>();
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let (negative, number) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = number
            .split_once('.')
            .map_or((number, None), |(w, f)| (w, Some(f)));
        if !digits(whole) || fraction.is_some_and(|f| !digits(f)) {
            return Err(MoneyError::NotDecimal(shown()));
        }
        if negative {
            return Err(MoneyError::Negative(shown()));
        }
        let fraction = fraction.unwrap_or("");
        if fraction.len() > 2 {
            return Err(MoneyError::Precision(shown()));
        }
        let too_large = || MoneyError::TooLarge(shown());
        if whole.trim_start_matches('0').len() > 8 {
            return Err(too_large());
        }
        let minor: u64 = format!("{whole}{fraction:0<2}")
            .parse()
            .map_err(|_| too_large())?;
        Self::from_minor(minor).ok_or_else(too_large)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string())
            .map_err(ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer)?
            .get()
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimal_text_is_exact() {
        for (text, minor) in [
            ("75.50", 7550),
            ("75.5", 7550),
            ("0", 0),
            ("0.07", 7),
            ("10000000.00", 1_000_000_000),
        ] {
            assert_eq!(
                serde_json::from_str::<Money>(text).unwrap().minor(),
                minor,
                "{text}"
            );
        }
        assert_eq!(serde_json::to_string(&Money(7550)).unwrap(), "75.50");
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        let refuse = |text: &str| serde_json::from_str::<Money>(text).unwrap_err().to_string();
        assert!(refuse("75.505").contains("more than two decimals"));
        assert!(refuse("-1").contains("negative"));
        assert!(refuse("10000000.01").contains("largest amount"));
        assert!(refuse("99999999999999999999999999").contains("largest amount"));
        for odd in ["1e3", "\"75.50\"", "null", "true", "[1]"] {
            assert!(refuse(odd).contains("plain decimal number"), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn writing_and_reading_is_the_identity(minor in 0..=Money::MAX.0) {
            let money = Money(minor);
            prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
        }
    }
}
