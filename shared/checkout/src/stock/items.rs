use std::collections::BTreeMap;

use saga::Token;
use serde::{Deserialize, Serialize, de};

use crate::{Item, order::MAX_QUANTITY};

/// What one order takes: each product once, in the order of their names, with a quantity of at least 1.
///
/// The order of names is part of the protocol: operations touch the products of an order in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Items(BTreeMap<Token, u32>);

/// Why lines of an order are no [`Items`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemsError {
    /// There is no line at all.
    #[error("an order has no items; it takes at least one")]
    Empty,
    /// A quantity is not in 1 to 10,000.
    #[error("item {sku} has quantity {quantity}; it takes 1 to {MAX_QUANTITY}")]
    Quantity {
        /// The product.
        sku: Token,
        /// What was asked for.
        quantity: u32,
    },
    /// The lines of one product add up to more than can be counted.
    #[error("the lines of item {0} add up to more than 4,294,967,295")]
    Sum(Token),
}

impl Items {
    /// The lines with those of the same product added up.
    ///
    /// # Errors
    /// When there is no line, or a quantity is not in 1 to 10,000.
    pub fn merge<'a>(lines: impl IntoIterator<Item = &'a Item>) -> Result<Self, ItemsError> {
        let mut items = BTreeMap::<Token, u32>::new();
        for Item {
            product_id: sku,
            quantity,
            ..
        } in lines
        {
            if !(1..=MAX_QUANTITY).contains(quantity) {
                return Err(ItemsError::Quantity {
                    sku: sku.clone(),
                    quantity: *quantity,
                });
            }
            let sum = items.entry(sku.clone()).or_default();
            *sum = sum
                .checked_add(*quantity)
                .ok_or_else(|| ItemsError::Sum(sku.clone()))?;
        }
        if items.is_empty() {
            Err(ItemsError::Empty)
        } else {
            Ok(Self(items))
        }
    }

    /// The products and their quantities, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&Token, u32)> {
        self.0.iter().map(|(sku, quantity)| (sku, *quantity))
    }

    /// The quantity of `sku`, if it is among the items.
    pub fn quantity(&self, sku: &Token) -> Option<u32> {
        self.0.get(sku).copied()
    }
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = BTreeMap::<Token, u32>::deserialize(deserializer)?;
        match items.iter().find(|(_, quantity)| **quantity == 0) {
            Some((sku, _)) => Err(de::Error::custom(format_args!("item {sku} has quantity 0"))),
            None if items.is_empty() => Err(de::Error::custom(ItemsError::Empty)),
            None => Ok(Self(items)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sku: &str, quantity: u32) -> Item {
        Item {
            product_id: sku.parse().unwrap(),
            quantity,
            unit_price: None,
        }
    }

    #[test]
    fn lines_of_one_product_are_added_up() {
        let items = Items::merge(&[line("B", 1), line("A", 2), line("B", 10_000)]).unwrap();
        assert_eq!(serde_json::to_string(&items).unwrap(), r#"{"A":2,"B":10001}"#);
        assert_eq!(
            serde_json::from_str::<Items>(r#"{"B":10001,"A":2}"#).unwrap(),
            items
        );
    }

    #[test]
    fn nothing_and_impossible_quantities_are_refused() {
        assert_eq!(Items::merge(&[]), Err(ItemsError::Empty));
        for quantity in [0, 10_001] {
            let error = ItemsError::Quantity {
                sku: "A".parse().unwrap(),
                quantity,
            };
            assert_eq!(Items::merge(&[line("A", quantity)]), Err(error));
        }
        assert!(serde_json::from_str::<Items>("{}").is_err());
        assert!(serde_json::from_str::<Items>(r#"{"A":0}"#).is_err());
    }
}
