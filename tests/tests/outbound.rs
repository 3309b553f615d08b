//! What outsiders are told: every public event once, in order, without its state, whoever dies and however many tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use customer::{CustomerCommand, Customers, NewCustomer};
use futures_util::StreamExt as _;
use jetsaga::{EventId, Expected, Feed, Token};
use jetsaga_tests::harness::{PATIENCE, Running, System, order_with, until};
use serde_json::Value;
use tokio::time::{sleep, timeout};

async fn relay(system: &System) -> Result<Running> {
    let nats = system.connect().await?;
    let kinds = vec![Token::new("checkout")?, Token::new("customer")?];
    system.run(outbound::relaying(kinds), nats, &[])
}

/// The public events of the journal: sequence, subject, body without state.
async fn expected(system: &System) -> Result<Vec<(u64, String, Value)>> {
    let mut stream = system.js.get_stream("EVENTS").await?;
    let last = stream.info().await?.state.last_sequence;
    let mut events = Vec::new();
    let mut feed = Feed::open(&system.nats, &[], 0).await?;
    loop {
        let entry = feed.next().await;
        let public = ["evt.checkout.", "evt.customer."];
        if public.iter().any(|kind| entry.subject.starts_with(kind)) {
            let mut body: Value = serde_json::from_slice(&entry.body)?;
            body.as_object_mut().context("an event")?.remove("state");
            let subject = entry.subject.replacen("evt.", "out.", 1);
            events.push((entry.sequence, subject, body));
        }
        if entry.sequence >= last {
            return Ok(events);
        }
    }
}

/// What stands in the outbound stream: the journal sequence it came from, subject, body.
async fn told(system: &System) -> Result<Vec<(u64, String, Value)>> {
    let mut stream = system.js.get_stream("OUTBOUND").await?;
    let last = stream.info().await?.state.last_sequence;
    let mut messages = Vec::new();
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await?;
        let of = message
            .headers
            .get("Jetsaga-Sequence")
            .context("it names its source")?;
        messages.push((
            of.as_str().parse()?,
            message.subject.to_string(),
            serde_json::from_slice(&message.payload)?,
        ));
    }
    Ok(messages)
}

async fn all_told(system: &System) -> Result<()> {
    let expected = expected(system).await?;
    let found = until("everything is told", || async {
        let found = told(system).await?;
        Ok((found.len() >= expected.len()).then_some(found))
    })
    .await?;
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    Ok(())
}

async fn place(system: &System, from: usize, count: usize) -> Result<()> {
    for n in from..from + count {
        let order = match n % 7 {
            3 => order_with(&format!("ORD-{n}"), "/paymentMethod", "tok_decline"),
            _ => order_with(&format!("ORD-{n}"), "/customerId", format!("CUST-{n}")),
        };
        system.place(&order).await?;
    }
    Ok(())
}

#[tokio::test]
async fn outsiders_are_told_everything_public_once_and_in_order() {
    let (system, _workers) = System::checkout().await.unwrap();
    let relay = relay(&system).await.unwrap();
    place(&system, 0, 40).await.unwrap();
    system.until_idle().await.unwrap();
    all_told(&system).await.unwrap();
    relay.stop().await.unwrap();
}

#[tokio::test]
async fn relays_that_die_and_relays_that_compete_tell_each_event_once() {
    let (system, _workers) = System::checkout().await.unwrap();
    let mut chance = fastrand::Rng::with_seed(7);
    let mut relays = Vec::new();
    for _ in 0..2 {
        relays.push(relay(&system).await.unwrap());
    }
    for round in 0..20 {
        place(&system, round * 10, 10).await.unwrap();
        sleep(Duration::from_millis(chance.u64(0..60))).await; // when the kill falls is a part of the test
        let victim = relays.swap_remove(chance.usize(0..relays.len()));
        victim.kill().await.unwrap();
        relays.push(relay(&system).await.unwrap());
    }
    system.until_idle().await.unwrap();
    all_told(&system).await.unwrap();
    for relay in relays {
        relay.stop().await.unwrap();
    }
}

/// What is told is what the published schemas say, customers included.
#[tokio::test]
async fn every_message_fits_its_schema() {
    let (system, _workers) = System::checkout().await.unwrap();
    let relay = relay(&system).await.unwrap();
    place(&system, 0, 10).await.unwrap();
    let customers = Customers::new(&system.nats).unwrap();
    let ada = NewCustomer {
        name: "Ada".to_owned(),
        email: "ada@example.org".to_owned(),
        address: None,
    };
    let writes = CustomerCommand::Change {
        address: None,
        email: Some("countess@example.org".to_owned()),
    };
    let commands = [CustomerCommand::Create(ada), writes, CustomerCommand::Erase];
    for (n, command) in commands.iter().enumerate() {
        let (id, name) = (Token::new("CUST-1").unwrap(), n.to_string());
        let event = EventId::derived("test", "outbound", &name);
        customers
            .execute(&id, Expected::Any, event, command)
            .await
            .unwrap();
    }
    system.until_idle().await.unwrap();
    all_told(&system).await.unwrap();

    let documents = BTreeMap::from_iter(jetsaga_cli::contract_documents().unwrap());
    let mut seen = BTreeSet::new();
    for (_, subject, body) in told(&system).await.unwrap() {
        let parts: Vec<&str> = subject.split('.').collect();
        let document = format!("events/{}.{}.schema.json", parts[1], parts[2]);
        let schema: Value = serde_json::from_str(&documents[&document]).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        if let Err(error) = validator.validate(&body) {
            panic!("{subject}: {error}: {body}");
        }
        seen.insert(document);
    }
    assert!(seen.len() >= 9, "{seen:?}");
    relay.stop().await.unwrap();
}

/// One message at a time keeps the order, also when a member of the group goes with a message in its hands.
#[tokio::test]
async fn a_group_of_outsiders_hears_everything_in_order() {
    let (system, _workers) = System::checkout().await.unwrap();
    let relay = relay(&system).await.unwrap();
    place(&system, 0, 20).await.unwrap();
    system.until_idle().await.unwrap();
    all_told(&system).await.unwrap();
    let all: Vec<u64> = (1..=told(&system).await.unwrap().len() as u64).collect();

    let stream = system.js.get_stream("OUTBOUND").await.unwrap();
    let group = pull::Config {
        durable_name: Some("billing".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_millis(500),
        max_ack_pending: 1,
        filter_subject: "out.checkout.>".to_owned(),
        ..pull::Config::default()
    };
    let group = stream.create_consumer(group).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < all.len() {
        let mut member = group.messages().await.unwrap();
        for _ in 0..10 {
            let next = timeout(PATIENCE, member.next()).await.unwrap().unwrap();
            let message = next.unwrap();
            heard.push(message.info().unwrap().stream_sequence);
            message.double_ack().await.unwrap();
            if heard.len() == all.len() {
                break;
            }
        }
        if heard.len() < all.len() {
            drop(timeout(PATIENCE, member.next()).await.unwrap()); // taken, and never answered for
        }
    }
    assert_eq!(heard, all);
    relay.stop().await.unwrap();
}
