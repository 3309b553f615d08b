//! The rule at the door: what an order must look like to become a saga.

use saga::{Payload, why_not};
use serde_json::Value;

use crate::{Address, OrderCreated};

/// The most items that one order may have.
pub const MAX_ITEMS: usize = 1_000;
/// The most pieces of one item.
pub const MAX_QUANTITY: u32 = 10_000;
/// The longest line of an address, in characters.
pub const MAX_ADDRESS_LINE: usize = 200;

/// Why an order is refused, in one sentence that names the field, the value and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unacceptable(String);

/// Reads and checks the payload of an `OrderCreated` from outside.
///
/// What comes back is the order in its one spelling: two texts of the same order give equal payloads, so a
/// duplicate and a conflict are told apart by comparing texts.
///
/// # Errors
/// Names the first field at fault and what would be right.
pub fn accept(payload: &Payload) -> Result<OrderCreated, Unacceptable> {
    check_shape(payload)?;
    let order: OrderCreated = payload
        .read()
        .map_err(|_| Unacceptable(why_not::<OrderCreated>("payload", payload.text().as_bytes())))?;
    check_items(&order)?;
    order.shipping_address.check("shippingAddress")?;
    check_total(&order)?;
    Ok(order)
}

/// A list of the right length would be read as an object, field by field.
fn check_shape(payload: &Payload) -> Result<(), Unacceptable> {
    let Ok(value) = payload.read::<Value>() else {
        return Ok(()); // the reader says what is wrong with it
    };
    let items = value["items"].as_array().into_iter().flatten().enumerate();
    let items = items.map(|(n, item)| (format!("payload.items[{n}]"), item));
    let address = ("payload.shippingAddress".to_owned(), &value["shippingAddress"]);
    let mut objects = [("payload".to_owned(), &value), address].into_iter().chain(items);
    match objects.find(|(_, value)| value.is_array()) {
        Some((name, _)) => refuse(format!("{name} is a list; it takes an object")),
        None => Ok(()),
    }
}

fn check_items(order: &OrderCreated) -> Result<(), Unacceptable> {
    if order.items.is_empty() {
        return refuse("items is empty; an order has 1 to 1000 items");
    }
    if order.items.len() > MAX_ITEMS {
        return refuse(format!(
            "items has {} entries; an order has 1 to 1000 items",
            order.items.len()
        ));
    }
    for (i, item) in order.items.iter().enumerate() {
        if item.quantity == 0 || item.quantity > MAX_QUANTITY {
            return refuse(format!(
                "items[{i}].quantity is {}; it takes 1 to 10000",
                item.quantity
            ));
        }
    }
    Ok(())
}

impl Address {
    /// Checks every line; `name` is what the address is called where it was found.
    ///
    /// # Errors
    /// Names the first line at fault and what is wrong with it.
    pub fn check(&self, name: &str) -> Result<(), Unacceptable> {
        for (line, text) in [("street", &self.street), ("city", &self.city), ("zip", &self.zip)] {
            if text.trim().is_empty() {
                return refuse(format!("{name}.{line} is empty"));
            }
            if text.chars().count() > MAX_ADDRESS_LINE {
                return refuse(format!(
                    "{name}.{line} has more than {MAX_ADDRESS_LINE} characters"
                ));
            }
            if text.chars().any(char::is_control) {
                return refuse(format!("{name}.{line} holds a control character"));
            }
        }
        Ok(())
    }
}

/// The total has to be the sum if every item has a price; without prices there is nothing to compare with.
fn check_total(order: &OrderCreated) -> Result<(), Unacceptable> {
    let lines: Option<Vec<u64>> = order
        .items
        .iter()
        .map(|item| item.unit_price.map(|price| price.times(item.quantity)))
        .collect();
    let Some(sum) = lines.map(|lines| lines.iter().sum::<u64>()) else {
        return Ok(());
    };
    if sum == order.total_amount.minor() {
        return Ok(());
    }
    let (whole, cents) = (sum / 100, sum % 100);
    refuse(format!(
        "totalAmount is {}, but the items add up to {whole}.{cents:02}",
        order.total_amount
    ))
}

fn refuse(why: impl Into<String>) -> Result<(), Unacceptable> {
    Err(Unacceptable(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = r#"{"orderId":"ORD-987654","customerId":"CUST-12345","items":[{"productId":"PROD-A1","quantity":2},{"productId":"PROD-B2","quantity":1}],"totalAmount":75.50,"shippingAddress":{"street":"123 Main St","city":"Anytown","zip":"12345"}}"#;

    fn accept_text(text: &str) -> Result<OrderCreated, Unacceptable> {
        accept(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn the_documented_order_is_accepted_and_keeps_its_spelling() {
        let order = accept_text(ORDER).unwrap();
        assert_eq!(Payload::of(&order).unwrap().text(), ORDER);
    }

    #[test]
    fn spelling_does_not_make_another_order() {
        let spaced = ORDER.replace("75.50", " 75.5 ").replace(":2", ": 2");
        assert_eq!(accept_text(ORDER).unwrap(), accept_text(&spaced).unwrap());
    }

    #[test]
    fn every_refusal_names_the_field_and_what_would_be_right() {
        let many = (0..1001)
            .map(|i| format!(r#"{{"productId":"P{i}","quantity":1}}"#))
            .collect::<Vec<_>>();
        let items = r#"[{"productId":"PROD-A1","quantity":2},{"productId":"PROD-B2","quantity":1}]"#;
        let cases = [
            (r#""customerId":"CUST-12345","#, "", "missing field `customerId`"),
            (r#""ORD-987654""#, r#""ORD.1""#, "holds '.'"),
            (r#""ORD-987654""#, r#""""#, "empty"),
            (r#""ORD-987654""#, r#""ORD 1""#, "holds ' '"),
            (r#""ORD-987654""#, r#""ORD-*""#, "holds '*'"),
            (r#""PROD-A1""#, r#"">""#, "holds '>'"),
            (r#""ORD-987654""#, r#""ORD\u0000""#, "holds '\\0'"),
            (items, "[]", "1 to 1000 items"),
            (items, &format!("[{}]", many.join(",")), "items has 1001 entries"),
            (
                r#""quantity":2"#,
                r#""quantity":0"#,
                "items[0].quantity is 0; it takes 1 to 10000",
            ),
            (r#""quantity":2"#, r#""quantity":10001"#, "it takes 1 to 10000"),
            (
                r#""quantity":2"#,
                r#""quantity":-1"#,
                "invalid value: integer `-1`",
            ),
            (r#""quantity":2"#, r#""quantity":"2""#, "invalid type: string"),
            (
                r#""quantity":2"#,
                r#""quantity":2.5"#,
                "invalid type: floating point",
            ),
            ("75.50", "75.505", "more than two decimals"),
            ("75.50", "10000000.01", "the largest amount"),
            ("75.50", "\"75.50\"", "plain decimal number"),
            (r#""zip":"12345""#, r#""zip":"""#, "shippingAddress.zip is empty"),
            (
                r#""zip":"12345""#,
                r#""zip":"1","planet":"Mars""#,
                "unknown field `planet`",
            ),
            (r#""zip":"12345""#, "\"zip\":\"1\\n2\"", "control character"),
        ];
        for (from, to, expected) in cases {
            let error = accept_text(&ORDER.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }

    #[test]
    fn a_total_is_checked_only_when_every_item_has_a_price() {
        let one = ORDER.replacen(r#""quantity":2"#, r#""quantity":2,"unitPrice":1.00"#, 1);
        assert!(accept_text(&one).is_ok());
        let both = one.replacen(r#""quantity":1}"#, r#""quantity":1,"unitPrice":73.50}"#, 1);
        assert!(accept_text(&both).is_ok());
        let wrong = both.replace("73.50", "73.49");
        let error = accept_text(&wrong).unwrap_err().to_string();
        assert_eq!(error, "totalAmount is 75.50, but the items add up to 75.49");
    }
}
