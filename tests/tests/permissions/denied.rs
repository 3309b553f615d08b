use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use async_nats::{Client, ConnectOptions, Event, ServerError};
use jetsaga_tests::harness::Guarded;
use tokio::sync::mpsc;

/// What somebody tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Try {
    Publish,
    Subscribe,
}
use Try::{Publish, Subscribe};

/// Who tries what, and why it is nobody's business: each has to bring a violation.
const DENIED: &[(&str, Try, &str)] = &[
    // Events of others.
    ("payment", Publish, "evt.checkout.OrderShipped.ORD-1"),
    ("payment", Publish, "evt.checkout.InventoryReserved.ORD-1"),
    ("payment", Publish, "evt.checkout.OrderCancelled.ORD-1"),
    ("payment", Publish, "evt.checkout.OrderCreated.ORD-1"),
    ("shipping", Publish, "evt.checkout.PaymentRefunded.ORD-1"),
    ("inventory", Publish, "evt.checkout.PaymentProcessed.ORD-1"),
    ("order", Publish, "evt.checkout.PaymentProcessed.ORD-1"),
    ("order", Publish, "evt.checkout.StepStuck.ORD-1"),
    ("notifier", Publish, "evt.checkout.OrderShipped.ORD-1"),
    ("gateway", Publish, "evt.checkout.OrderCancelled.ORD-1"),
    ("projector", Publish, "evt.checkout.OrderCreated.ORD-1"),
    ("outbound", Publish, "evt.customer.CustomerErased.CUST-1"),
    ("operator", Publish, "evt.checkout.OrderCreated.ORD-1"),
    ("keeper", Publish, "evt.checkout.OrderCreated.ORD-1"),
    ("keeper", Publish, "evt.checkout.PaymentProcessed.ORD-1"),
    ("keeper", Publish, "evt.stock.StockAdjusted.PROD-A1"),
    ("keeper", Publish, "$JS.API.STREAM.DELETE.EVENTS"),
    ("keeper", Publish, "$JS.API.STREAM.CREATE.EVENTS"),
    ("keeper", Publish, "$JS.API.STREAM.DELETE.KV_KEYS"),
    ("keeper", Publish, "$JS.API.STREAM.UPDATE.KV_STATE"),
    ("keeper", Subscribe, "_INBOX.operator.>"),
    // The mark of a restore that is not complete.
    ("operator", Publish, "$JS.API.STREAM.DELETE.RESTORE"),
    ("topology", Publish, "$JS.API.STREAM.DELETE.RESTORE"),
    ("topology", Publish, "$JS.API.STREAM.CREATE.RESTORE"),
    // Entities of others.
    ("payment", Publish, "evt.stock.StockAdjusted.PROD-A1"),
    ("inventory", Publish, "evt.stock.StockAdjusted.PROD-A1"),
    ("inventory", Publish, "evt.adjustment.AdjustmentApplied.A-1"),
    ("gateway", Publish, "evt.stock.StockAdjusted.PROD-A1"),
    ("order", Publish, "evt.customer.CustomerErased.CUST-1"),
    ("payment", Publish, "evt.checkout.PaymentProcessed.ORD-1.more"),
    // Reading what is others'.
    (
        "payment",
        Publish,
        "$JS.API.DIRECT.GET.EVENTS.evt.customer.*.CUST-1",
    ),
    ("payment", Publish, "$JS.API.DIRECT.GET.EVENTS.evt.*.*.*"),
    ("shipping", Publish, "$JS.API.DIRECT.GET.EVENTS"),
    (
        "order",
        Publish,
        "$JS.API.DIRECT.GET.KV_STATE.$KV.STATE.customer.CUST-1",
    ),
    ("notifier", Publish, "$JS.API.STREAM.MSG.GET.EVENTS"),
    ("projector", Publish, "$JS.API.STREAM.MSG.GET.EVENTS"),
    ("outbound", Publish, "$JS.API.STREAM.MSG.GET.EVENTS"),
    ("payment", Publish, "$JS.API.STREAM.MSG.GET.KV_KEYS"),
    ("operator", Publish, "$JS.API.STREAM.MSG.GET.KV_KEYS"),
    ("order", Publish, "$JS.API.STREAM.MSG.GET.REQUESTS"),
    ("shipping", Publish, "$JS.API.STREAM.MSG.GET.LETTERS"),
    // Consumers.
    (
        "payment",
        Publish,
        "$JS.API.CONSUMER.MSG.NEXT.EVENTS.checkout-shipping",
    ),
    (
        "projector",
        Publish,
        "$JS.API.CONSUMER.MSG.NEXT.EVENTS.checkout-payment",
    ),
    ("gateway", Publish, "$JS.API.CONSUMER.DELETE.EVENTS.notifier"),
    (
        "outbound",
        Publish,
        "$JS.API.CONSUMER.CREATE.EVENTS.checkout-owner",
    ),
    ("projector", Publish, "$JS.API.CONSUMER.CREATE.EVENTS"),
    (
        "gateway",
        Publish,
        "$JS.API.CONSUMER.CREATE.EVENTS.checkout-owner.evt.checkout.*.*",
    ),
    (
        "operator",
        Publish,
        "$JS.API.CONSUMER.DELETE.EVENTS.checkout-payment",
    ),
    ("payment", Publish, "$JS.API.CONSUMER.CREATE.EVENTS.mine"),
    (
        "payment",
        Publish,
        "$JS.API.CONSUMER.CREATE.EVENTS.checkout-payment",
    ),
    (
        "payment",
        Publish,
        "$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.checkout-payment",
    ),
    (
        "payment",
        Publish,
        "$JS.API.CONSUMER.DELETE.EVENTS.checkout-payment",
    ),
    ("order", Publish, "$JS.API.CONSUMER.PAUSE.EVENTS.checkout-owner"),
    (
        "topology",
        Publish,
        "$JS.API.CONSUMER.DELETE.EVENTS.checkout-payment",
    ),
    (
        "topology",
        Publish,
        "$JS.API.CONSUMER.MSG.NEXT.EVENTS.checkout-payment",
    ),
    ("shipping", Publish, "$JS.ACK.EVENTS.checkout-payment.1.1.1.1.1"),
    ("notifier", Publish, "$JS.ACK.INBOX.checkout-owner.1.1.1.1.1"),
    // Streams.
    ("order", Publish, "$JS.API.STREAM.CREATE.MINE"),
    ("operator", Publish, "$JS.API.STREAM.CREATE.EVENTS"),
    ("operator", Publish, "$JS.API.STREAM.DELETE.EVENTS"),
    // Made anew, the bucket could read the keys, or everybody's answers.
    ("operator", Publish, "$JS.API.STREAM.DELETE.KV_STATE"),
    ("operator", Publish, "$JS.API.STREAM.CREATE.KV_STATE"),
    ("operator", Publish, "$JS.API.STREAM.PURGE.EVENTS"),
    ("operator", Publish, "$JS.API.STREAM.MSG.DELETE.EVENTS"),
    ("operator", Publish, "$JS.API.STREAM.UPDATE.EVENTS"),
    ("topology", Publish, "$JS.API.STREAM.DELETE.EVENTS"),
    ("topology", Publish, "$JS.API.STREAM.UPDATE.EVENTS"),
    ("payment", Publish, "$JS.API.STREAM.PURGE.RETRY"),
    ("gateway", Publish, "$JS.API.STREAM.MSG.DELETE.EVENTS"),
    ("payment", Publish, "$JS.API.STREAM.MSG.DELETE.KV_KEYS"),
    ("inventory", Publish, "$JS.API.STREAM.RESTORE.EVENTS"),
    ("inventory", Publish, "$JS.API.STREAM.SNAPSHOT.EVENTS"),
    // Buckets, the inbox, outsiders, dead letters, retries, timers, marks, requests.
    ("order", Publish, "$KV.STATE.checkout.ORD-1"),
    ("gateway", Publish, "$KV.STATE.customer.CUST-1"),
    ("payment", Publish, "$KV.KEYS.customer.CUST-1"),
    ("payment", Publish, "in.checkout.OrderCreated"),
    ("notifier", Publish, "in.checkout.OrderCancellationRequested"),
    ("gateway", Publish, "in.trip.TripRequested"),
    ("order", Publish, "out.checkout.OrderCreated.ORD-1"),
    ("outbound", Publish, "out.stock.StockAdjusted.PROD-A1"),
    ("payment", Publish, "dlq.checkout-shipping.EVENTS.1"),
    ("payment", Publish, "retry.checkout.shipping.ORD-1.1"),
    ("payment", Publish, "due.checkout.payment.ORD-1.1"),
    ("payment", Publish, "timer.checkout.ORD-1.deadline"),
    ("order", Publish, "due.checkout.ORD-1.deadline"),
    (
        "notifier",
        Publish,
        "seen.checkout-owner.8f4e8d5e-8ddd-5985-90b8-ade00c8e4171",
    ),
    ("projector", Publish, "req.0123456789"),
    // Others' answers, and everything.
    ("payment", Subscribe, "_INBOX.order.>"),
    ("order", Subscribe, "_INBOX.gateway.>"),
    ("operator", Subscribe, "_INBOX.payment.>"),
    ("gateway", Subscribe, "_INBOX.*.>"),
    ("payment", Publish, "_INBOX.gateway.1"),
    ("notifier", Subscribe, "_INBOX.>"),
    ("order", Subscribe, ">"),
    ("projector", Subscribe, "evt.>"),
    ("gateway", Subscribe, "in.checkout.*"),
    ("shipping", Subscribe, "$JS.API.>"),
    ("operator", Subscribe, "$JS.EVENT.ADVISORY.>"),
    ("operator", Subscribe, "$SYS.>"),
    ("operator", Publish, "$SYS.REQ.SERVER.PING"),
    ("order", Publish, "$SYS.REQ.USER.INFO"),
];

#[tokio::test]
async fn everything_else_is_denied() {
    let site = Guarded::with_users().await.unwrap();
    let mut by_user: BTreeMap<&str, Vec<(Try, &str)>> = BTreeMap::new();
    for (user, what, subject) in DENIED {
        by_user.entry(user).or_default().push((*what, subject));
    }
    assert_eq!(by_user.len(), 11, "every user tries something");
    let mut allowed = Vec::new();
    for (user, tries) in by_user {
        let passed = passes(&site, user, &tries).await.unwrap();
        allowed.extend(
            passed
                .into_iter()
                .map(|(what, subject)| format!("{user}: {what:?} {subject}")),
        );
    }
    assert!(allowed.is_empty(), "{allowed:#?}");

    // What is allowed is told from what is not.
    let own = [
        (Publish, "evt.checkout.PaymentProcessed.ORD-1"),
        (Publish, "retry.checkout.payment.ORD-1.1"),
    ];
    assert_eq!(passes(&site, "payment", &own).await.unwrap(), own);
}

/// Somebody without a key, or with the key of nobody, does not come in.
#[tokio::test]
async fn nobody_else_is_let_in() {
    let site = Guarded::with_users().await.unwrap();
    assert!(async_nats::connect(site.url()).await.is_err());
    let stranger = nkeys::KeyPair::new_user().seed().unwrap();
    assert!(
        ConnectOptions::with_nkey(stranger)
            .connect(site.url())
            .await
            .is_err()
    );
}

/// Which of these are not answered with a violation.
async fn passes<'a>(site: &Guarded, user: &str, tries: &[(Try, &'a str)]) -> Result<Vec<(Try, &'a str)>> {
    let (told, mut violations) = mpsc::unbounded_channel();
    let client = stranger(site, user, told).await?;
    let mut subscriptions = Vec::new();
    for (what, subject) in tries {
        match what {
            Publish => client.publish((*subject).to_owned(), "{}".into()).await?,
            Subscribe => subscriptions.push(client.subscribe((*subject).to_owned()).await?),
        }
    }
    client.flush().await?;
    let mut left = tries.to_vec();
    while !left.is_empty()
        && let Ok(Some(violation)) = tokio::time::timeout(Duration::from_secs(2), violations.recv()).await
    {
        left.retain(|(what, subject)| !is_about(&violation, *what, subject));
    }
    Ok(left)
}

fn is_about(violation: &str, what: Try, subject: &str) -> bool {
    let doing = match what {
        Publish => "for publish to",
        Subscribe => "for subscription to",
    };
    violation.to_ascii_lowercase().contains(doing) && violation.contains(&format!("\"{subject}\""))
}

/// A client with the key of this user that knows nothing of Jetsaga.
async fn stranger(site: &Guarded, user: &str, told: mpsc::UnboundedSender<String>) -> Result<Client> {
    let seed = std::fs::read_to_string(site.seed(user))?.trim().to_owned();
    let options = ConnectOptions::with_nkey(seed).event_callback(move |event| {
        if let Event::ServerError(ServerError::Other(text)) = event {
            let _ = told.send(text); // nobody listens any more
        }
        async {}
    });
    options.connect(site.url()).await.with_context(|| user.to_owned())
}
