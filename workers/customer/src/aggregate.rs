use checkout::Address;
use jetsaga::{Aggregate, Decision, Personal, Shape, Token};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{CustomerAddressUpdated, CustomerCreated, CustomerEmailChanged, CustomerErased, CustomerEvent};

/// A customer, as the events made them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    /// Which customer.
    pub customer_id: Token,
    /// What they are called.
    pub name: Personal<String>,
    /// Where they are written to.
    pub email: Personal<String>,
    /// Where they live, if they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Personal<Address>>,
    /// True once their data is erased.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

/// What can be asked of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerCommand {
    /// Become one.
    Create(NewCustomer),
    /// Change what is given.
    Change {
        /// Live elsewhere.
        address: Option<Address>,
        /// Be written to elsewhere.
        email: Option<String>,
    },
    /// Be forgotten.
    Erase,
}

/// Who becomes a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCustomer {
    /// What they are called: 1 to 200 characters.
    pub name: String,
    /// Where they are written to: at most 254 characters, with one `@` between two parts.
    pub email: String,
    /// Where they live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustomerRefusal {
    /// There is one of this id.
    #[error("customer {0} exists already, with other data")]
    Exists(Token),
    /// There is none of this id.
    #[error("there is no customer {0}")]
    Unknown(Token),
    /// Their data is erased.
    #[error("the data of customer {0} were erased; nothing can be changed any more")]
    Erased(Token),
    /// A value is wrong.
    #[error("{0}")]
    Invalid(String),
    /// One command is one event.
    #[error("a change takes either an address or an email, not both: each is an event of its own")]
    TwoChanges,
}

impl Aggregate for Customer {
    const KIND: &'static str = "customer";
    // Version 1 kept an address as one line of text.
    const VERSION: u32 = 2;
    type Event = CustomerEvent;
    type Command = CustomerCommand;
    type Refusal = CustomerRefusal;

    fn decide(
        state: Option<&Self>,
        id: &Token,
        command: &CustomerCommand,
    ) -> Result<Decision<CustomerEvent>, CustomerRefusal> {
        match (command, state) {
            (CustomerCommand::Create(new), state) => create(state, id, new),
            (_, None) => Err(CustomerRefusal::Unknown(id.clone())),
            (CustomerCommand::Erase, Some(customer)) if customer.erased => Ok(Decision::Nothing),
            (CustomerCommand::Erase, Some(_)) => {
                let customer_id = id.clone();
                Ok(Decision::Event(CustomerErased { customer_id }.into()))
            }
            (CustomerCommand::Change { .. }, Some(customer)) if customer.erased => {
                Err(CustomerRefusal::Erased(id.clone()))
            }
            (CustomerCommand::Change { address, email }, Some(customer)) => {
                change(customer, address.as_ref(), email.as_ref())
            }
        }
    }

    fn evolve(state: Option<&Self>, id: &Token, event: &CustomerEvent) -> Self {
        let before = state.cloned().unwrap_or_else(|| Self::unknown(id));
        match event.clone() {
            CustomerEvent::CustomerCreated(CustomerCreated {
                customer_id,
                name,
                email,
                address,
            }) => Self {
                customer_id,
                name,
                email,
                address,
                erased: false,
            },
            CustomerEvent::CustomerAddressUpdated(CustomerAddressUpdated { address, .. }) => Self {
                address: Some(address),
                ..before
            },
            CustomerEvent::CustomerEmailChanged(CustomerEmailChanged { email, .. }) => {
                Self { email, ..before }
            }
            CustomerEvent::CustomerErased(_) => Self {
                erased: true,
                ..Self::unknown(id)
            },
        }
    }

    fn upcast(shape: Shape<'_>, version: u32, value: &mut Value) -> Result<(), String> {
        match (version, shape) {
            (1, Shape::State | Shape::Payload("CustomerCreated" | "CustomerAddressUpdated")) => {
                if let Some(address) = value.pointer_mut("/address/personal") {
                    let line = address.as_str().ok_or("address is no line of text")?;
                    *address = json!({"street": line, "city": "", "zip": ""});
                }
                Ok(())
            }
            (1, Shape::Payload(_)) => Ok(()),
            (other, _) => Err(format!("version {other} of a customer was never written")),
        }
    }
}

impl Customer {
    fn unknown(id: &Token) -> Self {
        Self {
            customer_id: id.clone(),
            name: Personal::ERASED,
            email: Personal::ERASED,
            address: None,
            erased: false,
        }
    }
}

fn create(
    state: Option<&Customer>,
    id: &Token,
    new: &NewCustomer,
) -> Result<Decision<CustomerEvent>, CustomerRefusal> {
    check_name(&new.name)?;
    check_email(&new.email)?;
    new.address.as_ref().map_or(Ok(()), check_address)?;
    let created = CustomerCreated {
        customer_id: id.clone(),
        name: Personal::new(new.name.clone()),
        email: Personal::new(new.email.clone()),
        address: new.address.clone().map(Personal::new),
    };
    match state {
        None => Ok(Decision::Event(created.into())),
        Some(customer) if customer.erased => Err(CustomerRefusal::Erased(id.clone())),
        Some(customer) if *customer == Customer::evolve(None, id, &created.into()) => Ok(Decision::Nothing),
        Some(_) => Err(CustomerRefusal::Exists(id.clone())),
    }
}

fn change(
    customer: &Customer,
    address: Option<&Address>,
    email: Option<&String>,
) -> Result<Decision<CustomerEvent>, CustomerRefusal> {
    let customer_id = customer.customer_id.clone();
    match (address, email) {
        (Some(_), Some(_)) => Err(CustomerRefusal::TwoChanges),
        (None, None) => Err(CustomerRefusal::Invalid(
            "nothing is to be changed; name an address or an email".to_owned(),
        )),
        (Some(address), None) => {
            check_address(address)?;
            let address = Personal::new(address.clone());
            if customer.address.as_ref() == Some(&address) {
                return Ok(Decision::Nothing);
            }
            let updated = CustomerAddressUpdated { customer_id, address };
            Ok(Decision::Event(updated.into()))
        }
        (None, Some(email)) => {
            check_email(email)?;
            let email = Personal::new(email.clone());
            if customer.email == email {
                return Ok(Decision::Nothing);
            }
            Ok(Decision::Event(
                CustomerEmailChanged { customer_id, email }.into(),
            ))
        }
    }
}

fn check_name(name: &str) -> Result<(), CustomerRefusal> {
    let characters = name.chars().count();
    if name.trim().is_empty() || characters > 200 || name.chars().any(char::is_control) {
        return invalid("name takes 1 to 200 characters, and none that control");
    }
    Ok(())
}

fn check_email(email: &str) -> Result<(), CustomerRefusal> {
    let parts = email.split_once('@');
    let fits = parts.is_some_and(|(who, at)| !who.is_empty() && !at.is_empty() && !at.contains('@'));
    let plain = !email.chars().any(|c| c.is_control() || c.is_whitespace());
    if !fits || !plain || email.len() > 254 {
        return invalid("email takes at most 254 characters, with one @ between two parts and no spaces");
    }
    Ok(())
}

fn check_address(address: &Address) -> Result<(), CustomerRefusal> {
    address
        .check("address")
        .map_err(|why| CustomerRefusal::Invalid(why.to_string()))
}

fn invalid(why: &str) -> Result<(), CustomerRefusal> {
    Err(CustomerRefusal::Invalid(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> Token {
        Token::new("CUST-1").unwrap()
    }

    fn ada() -> NewCustomer {
        NewCustomer {
            name: "Ada".to_owned(),
            email: "ada@example.org".to_owned(),
            address: None,
        }
    }

    fn home(street: &str) -> Address {
        Address {
            street: street.to_owned(),
            city: "London".to_owned(),
            zip: "W1".to_owned(),
        }
    }

    /// The state after these commands, each of which has to make an event.
    fn given(commands: &[CustomerCommand]) -> Option<Customer> {
        commands.iter().fold(None, |state, command| {
            match Customer::decide(state.as_ref(), &id(), command).unwrap() {
                Decision::Event(event) => Some(Customer::evolve(state.as_ref(), &id(), &event)),
                Decision::Nothing => panic!("{command:?} made no event"),
            }
        })
    }

    fn when(
        state: Option<&Customer>,
        command: CustomerCommand,
    ) -> Result<Decision<CustomerEvent>, CustomerRefusal> {
        Customer::decide(state, &id(), &command)
    }

    fn moves(street: &str) -> CustomerCommand {
        CustomerCommand::Change {
            address: Some(home(street)),
            email: None,
        }
    }

    fn writes(email: &str) -> CustomerCommand {
        CustomerCommand::Change {
            address: None,
            email: Some(email.to_owned()),
        }
    }

    #[test]
    fn a_customer_moves_and_is_written_to_elsewhere() {
        let customer = given(&[
            CustomerCommand::Create(ada()),
            moves("St James's Square"),
            writes("countess@example.org"),
        ])
        .unwrap();
        assert_eq!(
            customer.email.known().map(String::as_str),
            Some("countess@example.org")
        );
        assert_eq!(customer.address, Some(Personal::new(home("St James's Square"))));
    }

    #[test]
    fn what_is_so_already_makes_no_event() {
        let customer = given(&[CustomerCommand::Create(ada()), moves("Dean's Yard")]);
        for command in [moves("Dean's Yard"), writes("ada@example.org")] {
            assert_eq!(when(customer.as_ref(), command), Ok(Decision::Nothing));
        }
        let created = given(&[CustomerCommand::Create(ada())]);
        let again = when(created.as_ref(), CustomerCommand::Create(ada()));
        assert_eq!(again, Ok(Decision::Nothing));
    }

    #[test]
    fn a_refusal_says_why() {
        let customer = given(&[CustomerCommand::Create(ada())]);
        let both = CustomerCommand::Change {
            address: Some(home("x")),
            email: Some("a@b".to_owned()),
        };
        let other = NewCustomer {
            name: "Charles".to_owned(),
            ..ada()
        };
        let nameless = NewCustomer {
            name: " ".to_owned(),
            ..ada()
        };
        let cases = [
            (None, moves("x"), "there is no customer CUST-1"),
            (
                customer.as_ref(),
                CustomerCommand::Create(other),
                "exists already",
            ),
            (customer.as_ref(), both, "not both"),
            (customer.as_ref(), moves(""), "address.street is empty"),
            (customer.as_ref(), writes("nobody"), "one @"),
            (customer.as_ref(), writes("a@b@c"), "one @"),
            (customer.as_ref(), writes("a b@c"), "no spaces"),
            (None, CustomerCommand::Create(nameless), "1 to 200 characters"),
        ];
        for (state, command, expected) in cases {
            let refusal = when(state, command.clone()).unwrap_err().to_string();
            assert!(refusal.contains(expected), "{command:?}: {refusal}");
        }
    }

    #[test]
    fn nothing_is_left_of_an_erased_customer() {
        let erased = given(&[CustomerCommand::Create(ada()), CustomerCommand::Erase]).unwrap();
        assert!(erased.erased && !serde_json::to_string(&erased).unwrap().contains("ada"));
        assert_eq!(when(Some(&erased), CustomerCommand::Erase), Ok(Decision::Nothing));
        assert_eq!(
            when(Some(&erased), moves("x")),
            Err(CustomerRefusal::Erased(id()))
        );
        assert_eq!(
            when(Some(&erased), CustomerCommand::Create(ada())),
            Err(CustomerRefusal::Erased(id()))
        );
    }

    #[test]
    fn an_address_of_version_1_is_a_street() {
        let mut state = json!({"customerId": "CUST-1", "name": {"personal": "Ada"}, "email": {"personal": "a@b"},
            "address": {"personal": "12 St James's Square, London"}});
        Customer::upcast(Shape::State, 1, &mut state).unwrap();
        let customer: Customer = serde_json::from_value(state).unwrap();
        let address = customer.address.unwrap();
        assert_eq!(address.known().unwrap().street, "12 St James's Square, London");
    }
}
