//! Customers on a real server: commands, what they saw, history, older shapes, and erasure.

use std::time::Duration;

use anyhow::{Context as _, Result};
use async_nats::HeaderMap;
use checkout::Address;
use customer::{CustomerCommand, CustomerError, CustomerRefusal, CustomerVersion, Customers, NewCustomer};
use futures_util::future::join_all;
use jetsaga::{CommandError, EventId, Expected, Moment, Token, VaultError};
use jetsaga_tests::harness::{System, until};
use serde_json::{Value, json};

fn id(text: &str) -> Token {
    Token::new(text).unwrap_or_else(|_| unreachable!("{text} is a token"))
}

/// The id of the command that a test calls so.
fn command(name: &str) -> EventId {
    EventId::derived("test", "customers", name)
}

fn ada() -> CustomerCommand {
    CustomerCommand::Create(NewCustomer {
        name: "Ada Lovelace".to_owned(),
        email: "ada@example.org".to_owned(),
        address: Some(home("12 St James's Square")),
    })
}

fn home(street: &str) -> Address {
    Address {
        street: street.to_owned(),
        city: "London".to_owned(),
        zip: "SW1Y 4LB".to_owned(),
    }
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

fn street(version: &CustomerVersion) -> Option<String> {
    let address = version.state.entity.address.as_ref()?;
    Some(address.known()?.street.clone())
}

struct Office {
    system: System,
    customers: Customers,
}

impl Office {
    async fn open() -> Result<Self> {
        let system = System::bare().await?;
        let customers = Customers::new(&system.nats)?;
        Ok(Self { system, customers })
    }

    async fn any(&self, name: &str, what: &CustomerCommand) -> Result<CustomerVersion, CustomerError> {
        self.customers
            .execute(&id("CUST-1"), Expected::Any, command(name), what)
            .await
    }

    async fn at(
        &self,
        sequence: u64,
        name: &str,
        what: &CustomerCommand,
    ) -> Result<CustomerVersion, CustomerError> {
        let expected = Expected::Sequence(sequence);
        self.customers
            .execute(&id("CUST-1"), expected, command(name), what)
            .await
    }

    async fn load(&self) -> Result<CustomerVersion> {
        let found = self.customers.load(&id("CUST-1")).await?;
        found.context("there is a customer")
    }

    async fn history(&self) -> Result<Vec<CustomerVersion>> {
        let mut history = self.customers.history(&id("CUST-1"), None, 1000).await?;
        history.reverse();
        Ok(history)
    }

    /// Everything that the server keeps in these streams, as text.
    async fn kept(&self) -> Result<String> {
        let mut text = String::new();
        for name in ["EVENTS", "KV_STATE", "KV_KEYS", "LETTERS", "INBOX"] {
            let mut stream = self.system.js.get_stream(name).await?;
            let last = stream.info().await?.state.last_sequence;
            for sequence in 1..=last {
                if let Ok(message) = stream.get_raw_message(sequence).await {
                    text.push_str(&String::from_utf8_lossy(&message.payload));
                }
            }
        }
        Ok(text)
    }

    /// Waits until the bucket shows the customer's last event.
    async fn in_bucket(&self) -> Result<Value> {
        until("the bucket follows", || async {
            let stream = self.system.js.get_stream("KV_STATE").await?;
            let last = stream
                .get_last_raw_message_by_subject("$KV.STATE.customer.CUST-1")
                .await;
            let Ok(last) = last else { return Ok(None) }; // it is filled a moment later
            let value: Value = serde_json::from_slice(&last.payload)?;
            let wanted = self.history().await?.last().map(|last| last.event.event_id);
            let found: Option<EventId> = serde_json::from_value(value["eventId"].clone()).ok();
            Ok((found == wanted).then_some(value))
        })
        .await
    }
}

#[tokio::test]
async fn a_change_rests_on_what_its_sender_saw() {
    let office = Office::open().await.unwrap();
    let created = office.any("create", &ada()).await.unwrap();
    let moved = office
        .at(created.sequence, "move", &moves("Dean's Yard"))
        .await
        .unwrap();
    assert_eq!(
        (moved.guard, moved.state.events, street(&moved)),
        (created.sequence, 2, Some("Dean's Yard".to_owned()))
    );
    let late = office
        .at(created.sequence, "late", &writes("late@example.org"))
        .await;
    assert!(
        matches!(late, Err(CommandError::Stale { expected, last }) if expected == created.sequence && last == moved.sequence),
        "{late:?}"
    );
    let unknown = office
        .customers
        .execute(&id("CUST-2"), Expected::Any, command("x"), &moves("x"))
        .await;
    assert!(
        matches!(unknown, Err(CommandError::Refused(CustomerRefusal::Unknown(_)))),
        "{unknown:?}"
    );
    assert_eq!(
        office.history().await.unwrap().len(),
        2,
        "what was refused left nothing"
    );
}

#[tokio::test]
async fn the_same_command_again_gives_the_same_answer() {
    let office = Office::open().await.unwrap();
    let created = office.any("create", &ada()).await.unwrap();
    let moved = office
        .at(created.sequence, "move", &moves("Dean's Yard"))
        .await
        .unwrap();
    office.any("write", &writes("a@example.org")).await.unwrap();
    let again = office
        .at(created.sequence, "move", &moves("Dean's Yard"))
        .await
        .unwrap();
    let told = |version: &CustomerVersion| version.event.payload.read::<Value>().unwrap();
    assert_eq!(told(&again), told(&moved));
    assert_eq!(
        (again.sequence, again.event.event_id, again.state),
        (moved.sequence, moved.event.event_id, moved.state)
    );
    assert_eq!(
        office.any("create", &ada()).await.unwrap().sequence,
        created.sequence
    );
    assert_eq!(office.history().await.unwrap().len(), 3);
}

#[tokio::test]
async fn forty_changes_at_once_are_forty_links_of_one_chain() {
    let office = Office::open().await.unwrap();
    office.any("create", &ada()).await.unwrap();
    let changes: Vec<_> = (0..40)
        .map(|n| {
            (
                format!("move-{n}"),
                moves(&format!("{n} St James's Square, London")),
            )
        })
        .collect();
    let answers = join_all(changes.iter().map(|(name, change)| office.any(name, change))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let history = office.history().await.unwrap();
    assert_eq!(history.len(), 41);
    for (n, pair) in history.windows(2).enumerate() {
        assert_eq!(pair[1].guard, pair[0].sequence);
        assert_eq!(pair[1].state.events, n as u64 + 2);
    }
}

#[tokio::test]
async fn the_past_is_read_by_sequence_by_time_and_in_pages() {
    let office = Office::open().await.unwrap();
    let mut versions = vec![office.any("create", &ada()).await.unwrap()];
    for n in 0..5 {
        tokio::time::sleep(Duration::from_millis(3)).await; // so that no two have the same time
        versions.push(
            office
                .any(&format!("move-{n}"), &moves(&format!("street {n}")))
                .await
                .unwrap(),
        );
    }
    let customer = id("CUST-1");
    let history = office.history().await.unwrap();
    for (version, told) in versions.iter().zip(&history) {
        assert_eq!((version.sequence, &version.state), (told.sequence, &told.state));
        for moment in [Moment::Sequence(version.sequence), Moment::Time(told.stored_at)] {
            let then = office.customers.as_of(&customer, moment).await.unwrap().unwrap();
            assert_eq!((then.sequence, &then.state), (version.sequence, &version.state));
        }
    }
    let before = Moment::Sequence(versions[0].sequence - 1);
    assert!(office.customers.as_of(&customer, before).await.unwrap().is_none());
    let page = office
        .customers
        .history(&customer, Some(versions[4].sequence), 2)
        .await
        .unwrap();
    let page: Vec<u64> = page.iter().map(|version| version.sequence).collect();
    assert_eq!(page, [versions[3].sequence, versions[2].sequence]);
}

#[tokio::test]
async fn nothing_personal_is_kept_in_the_clear() {
    let office = Office::open().await.unwrap();
    office.any("create", &ada()).await.unwrap();
    office
        .any("write", &writes("countess@example.org"))
        .await
        .unwrap();
    office.in_bucket().await.unwrap();
    let kept = office.kept().await.unwrap();
    // Words that ciphertext, which is random letters, digits, `-` and `_`, does not hold by chance.
    for secret in [
        "Ada ",
        "Lovelace",
        "ada@",
        "example.org",
        "James's",
        "London",
        "SW1Y 4LB",
    ] {
        assert!(!kept.contains(secret), "{secret} stands in {kept}");
    }
    assert!(kept.contains("CustomerEmailChanged") && kept.contains("sealed"));
}

#[tokio::test]
async fn erasing_a_customer_leaves_the_chain_and_nothing_in_it() {
    let office = Office::open().await.unwrap();
    let created = office.any("create", &ada()).await.unwrap();
    office.any("move", &moves("Dean's Yard")).await.unwrap();
    let erased = office.any("erase", &CustomerCommand::Erase).await.unwrap();
    assert_eq!(office.load().await.unwrap().state, erased.state);

    let history = office.history().await.unwrap();
    let types: Vec<_> = history
        .iter()
        .map(|version| version.event.event_type.as_str())
        .collect();
    assert_eq!(
        types,
        ["CustomerCreated", "CustomerAddressUpdated", "CustomerErased"]
    );
    assert!(history.windows(2).all(|pair| pair[1].guard == pair[0].sequence));
    for version in &history {
        let text = serde_json::to_string(&version.state).unwrap() + version.event.payload.text();
        assert!(!text.contains("Lovelace") && !text.contains("Dean's"), "{text}");
        assert!(version.state.entity.name.known().is_none());
    }
    let then = Moment::Sequence(created.sequence);
    let then = office
        .customers
        .as_of(&id("CUST-1"), then)
        .await
        .unwrap()
        .unwrap();
    assert!(then.state.entity.email.known().is_none());

    for (name, what) in [("again", moves("x")), ("anew", ada())] {
        let refused = office.any(name, &what).await;
        assert!(
            matches!(refused, Err(CommandError::Refused(CustomerRefusal::Erased(_)))),
            "{refused:?}"
        );
    }
    let twice = office.any("erase twice", &CustomerCommand::Erase).await.unwrap();
    assert_eq!(twice.sequence, erased.sequence);
}

#[tokio::test]
async fn a_key_that_is_deleted_alone_has_erased_already() {
    let office = Office::open().await.unwrap();
    office.any("create", &ada()).await.unwrap();
    let other = NewCustomer {
        name: "Charles".to_owned(),
        email: "charles@example.org".to_owned(),
        address: None,
    };
    office
        .customers
        .execute(
            &id("CUST-2"),
            Expected::Any,
            command("other"),
            &CustomerCommand::Create(other),
        )
        .await
        .unwrap();
    let entity = jetsaga::subject::EntitySubject::new(&id("customer"), &id("CUST-1"));
    jetsaga::Vault::new(&office.system.nats)
        .erase(&entity)
        .await
        .unwrap(); // and then whoever did it dies
    assert!(office.load().await.unwrap().state.entity.name.known().is_none());
    let refused = office.any("write", &writes("a@example.org")).await;
    assert!(
        matches!(refused, Err(CommandError::Vault(VaultError::Erased(_)))),
        "{refused:?}"
    );
    office.any("erase", &CustomerCommand::Erase).await.unwrap();
    assert!(office.load().await.unwrap().state.entity.erased);
    let other = office.customers.load(&id("CUST-2")).await.unwrap().unwrap();
    let name = other.state.entity.name.known().map(String::as_str);
    assert_eq!(name, Some("Charles"), "others keep theirs");
}

#[tokio::test]
async fn many_who_erase_one_customer_at_once_are_all_told_that_it_is_done() {
    let office = Office::open().await.unwrap();
    for round in 0..10 {
        let customer = id(&format!("CUST-{round}"));
        let create = command(&format!("create {round}"));
        let made = office
            .customers
            .execute(&customer, Expected::Any, create, &ada())
            .await;
        made.unwrap();
        let erasing = (0..8).map(|n| {
            let name = format!("erase {round} {n}");
            let (customers, customer) = (&office.customers, &customer);
            async move {
                customers
                    .execute(customer, Expected::Any, command(&name), &CustomerCommand::Erase)
                    .await
            }
        });
        for erased in join_all(erasing).await {
            assert!(erased.unwrap().state.entity.erased);
        }
    }
}

#[tokio::test]
async fn events_of_an_older_shape_are_read() {
    let office = Office::open().await.unwrap();
    let (name, email) = (
        json!({"personal": "Ada"}).to_string(),
        json!({"personal": "ada@example.org"}).to_string(),
    );
    let address = json!({"personal": "12 St James's Square, London"}).to_string();
    let payload = format!(r#"{{"customerId":"CUST-1","name":{name},"email":{email},"address":{address}}}"#);
    let state = format!(r#"{{"events":1,{}"#, &payload[1..]);
    let event = format!(
        r#"{{"eventId":"{}","eventType":"CustomerCreated","timestamp":"2023-10-27T10:30:00Z","payload":{payload},"state":{state}}}"#,
        command("create")
    );
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
    headers.insert(
        "Nats-Expected-Last-Subject-Sequence-Subject",
        "evt.customer.*.CUST-1",
    );
    office
        .system
        .publish_with("evt.customer.CustomerCreated.CUST-1", headers, event)
        .await
        .unwrap();

    assert_eq!(
        street(&office.load().await.unwrap()).as_deref(),
        Some("12 St James's Square, London")
    );
    let moved = office.any("write", &writes("new@example.org")).await;
    let Err(CommandError::Vault(VaultError::Erased(_))) = moved else {
        panic!("it was never sealed, so it has no key: {moved:?}");
    };
}

#[tokio::test]
async fn what_newer_code_wrote_is_left_to_it() {
    let office = Office::open().await.unwrap();
    let event = json!({"eventId": command("create"), "eventType": "CustomerCreated", "timestamp": "2023-10-27T10:30:00Z",
        "version": 3, "payload": {}, "state": {"events": 1}});
    office
        .system
        .publish("evt.customer.CustomerCreated.CUST-1", event.to_string())
        .await
        .unwrap();
    let refused = office
        .customers
        .load(&id("CUST-1"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("version 3; this code reads up to 2"),
        "{refused}"
    );
}
