use async_nats::HeaderMap;
use jetsaga::{ConnectError, ConnectionArgs, Nats, anyhow::Result};
use jetsaga_tests::harness::{Guarded, Process};
use serde_json::{Value, json};

/// Some of what no subject tells is refused by the server, whoever asks.
#[tokio::test]
async fn what_subjects_do_not_tell_is_refused_by_the_server() {
    let site = Guarded::with_users().await.unwrap();
    site.run("topology", &["topology", "ensure"]).await.unwrap();
    let projector = site.connect("projector").await.unwrap();
    let operator = site.connect("operator").await.unwrap();
    let before = consumer(&operator, "checkout-payment").await.unwrap();

    // A name in the request that is not the one in its subject counts for nothing.
    for config in [
        json!({"name": "checkout-payment", "ack_policy": "explicit"}),
        json!({"durable_name": "checkout-payment", "ack_policy": "explicit"}),
        json!({"deliver_subject": "evt.checkout.OrderShipped.ORD-1", "ack_policy": "none"}),
    ] {
        let request = json!({"stream_name": "EVENTS", "config": config}).to_string();
        let asked = projector
            .client
            .request("$JS.API.CONSUMER.CREATE.EVENTS.mine", request.into());
        let answer: Value = serde_json::from_slice(&asked.await.unwrap().payload).unwrap();
        let made = answer["name"].as_str();
        assert!(answer["error"].is_object() || made == Some("mine"), "{answer}");
    }
    assert_eq!(consumer(&operator, "checkout-payment").await.unwrap(), before);

    // A schedule stays in its stream, and the journal knows no roll-up.
    let payment = site.connect("payment").await.unwrap();
    let mut schedule = HeaderMap::new();
    schedule.insert("Nats-Schedule", "@at 2020-01-01T00:00:00Z");
    schedule.insert("Nats-Schedule-Target", "evt.checkout.OrderShipped.ORD-1");
    let mut roll_up = HeaderMap::new();
    roll_up.insert("Nats-Rollup", "all");
    for (subject, headers) in [
        ("retry.checkout.payment.ORD-1.1", schedule),
        ("evt.checkout.PaymentProcessed.ORD-1", roll_up),
    ] {
        let sent = payment
            .jetstream
            .publish_with_headers(subject, headers, "x".into());
        assert!(sent.await.unwrap().await.is_err(), "{subject}");
    }
}

/// How a consumer of the journal is set.
async fn consumer(nats: &Nats, name: &str) -> Result<Value> {
    let subject = format!("$JS.API.CONSUMER.INFO.EVENTS.{name}");
    let answer = nats.client.request(subject, "".into()).await?;
    let answer: Value = serde_json::from_slice(&answer.payload)?;
    Ok(answer["config"].clone())
}

/// Whoever is not let in, or not let do what everybody has to, is told so and what would be right.
#[tokio::test]
async fn a_refusal_says_who_was_refused() {
    let site = Guarded::with_users().await.unwrap();
    let nobody = Nats::connect(&site.url(), "payment").await.unwrap_err();
    assert!(matches!(nobody, ConnectError::Refused { .. }), "{nobody}");
    assert!(nobody.to_string().contains("--nats-nkey-file"), "{nobody}");

    let stranger = nkeys::KeyPair::new_user();
    let file = site.dir().join("stranger.nk");
    std::fs::write(&file, stranger.seed().unwrap()).unwrap();
    let args = ConnectionArgs {
        nats_nkey_file: Some(file.clone()),
        ..ConnectionArgs::to(&site.url())
    };
    let refused = Nats::connect_with(&args, "payment")
        .await
        .unwrap_err()
        .to_string();
    for part in [stranger.public_key().as_str(), &file.display().to_string()] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(!refused.contains(&stranger.seed().unwrap()), "{refused}");

    // The key of one under the name of another: its answers would come to an inbox that is not its own.
    let masked = Nats::connect_with(&site.connection("payment"), "order")
        .await
        .unwrap_err();
    let said = masked.to_string();
    assert!(
        said.contains("does not let this key subscribe to _INBOX.order.") && said.contains("as order has to"),
        "{said}"
    );

    let secret = Nats::connect(&site.url().replace("nats://", "nats://me:swordfish@"), "x").await;
    let said = secret.unwrap_err().to_string();
    assert!(
        said.contains("names a user or password") && !said.contains("swordfish"),
        "{said}"
    );
}

/// A file that is of no use stops the start, and is named.
#[tokio::test]
async fn a_file_of_no_use_stops_the_start() {
    let site = Guarded::with_users().await.unwrap();
    std::fs::write(site.seed("payment"), "SUsomethingthatisnoseed\n").unwrap();
    let mut command = site.command("payment", &["worker", "payment"]).unwrap();
    let (code, said) = Process::start(&mut command).unwrap().ended().await.unwrap();
    assert_eq!(code, Some(1), "{said}");
    for part in [
        "--nats-nkey-file",
        "JETSAGA_NATS_NKEY_FILE",
        "payment.nk",
        "begins with SU",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("somethingthatisnoseed"), "{said}");

    for (flag, value) in [
        ("--nats-cert-file", "x.pem"),
        ("--nats-credentials-file", "x.creds"),
    ] {
        let mut command = site
            .command("payment", &["worker", "payment", flag, value])
            .unwrap();
        let (code, said) = Process::start(&mut command).unwrap().ended().await.unwrap();
        assert_eq!(code, Some(2), "{said}");
        let mut command = site
            .command("operator", &["letters", "list", flag, value])
            .unwrap();
        let (code, said) = Process::start(&mut command).unwrap().ended().await.unwrap();
        assert_eq!(code, Some(2), "{said}");
    }
}
