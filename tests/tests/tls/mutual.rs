use jetsaga::{
    ConnectionArgs, Freshness, Journal, Nats, State, Token, Topology, anyhow::Result, subject::EntitySubject,
};
use jetsaga_tests::harness::{Guarded, Process, jetsaga, order, until};

use crate::{
    authority::{Authority, Pair},
    refusal, server, trusting,
};

/// How to connect to it with a certificate of our own.
fn showing(site: &Guarded, pair: &Pair) -> ConnectionArgs {
    ConnectionArgs {
        nats_cert_file: Some(pair.cert.clone()),
        nats_key_file: Some(pair.key.clone()),
        ..trusting(site, &site.dir().join("ca.pem"))
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_one() {
    let authority = Authority::new().unwrap();
    let site = server(&authority, true).await.unwrap();
    let ours = authority.sign(site.dir(), "client").unwrap();
    assert!(Nats::connect_with(&showing(&site, &ours), "worker").await.is_ok());

    let said = refusal(&trusting(&site, &site.dir().join("ca.pem")))
        .await
        .unwrap();
    assert!(said.contains("--nats-cert-file and --nats-key-file"), "{said}");

    let stranger = Authority::new().unwrap().sign(site.dir(), "stranger").unwrap();
    let said = refusal(&showing(&site, &stranger)).await.unwrap();
    assert!(said.contains("stranger.pem"), "{said}");
}

/// Authority, server and worker get other certificates while the worker runs; it comes back with the new ones.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_replaced_without_a_restart() {
    let authority = Authority::new().unwrap();
    let mut site = server(&authority, true).await.unwrap();
    let ours = authority.sign(site.dir(), "client").unwrap();
    let args = showing(&site, &ours);
    let nats = Nats::connect_with(&args, "operator").await.unwrap();
    Topology::new(1).ensure(&nats).await.unwrap();
    drop(nats);
    let worker = start(&args).unwrap();
    worker.until_said("working").await.unwrap();
    let id = worker.id().unwrap();
    let nats = Nats::connect_with(&args, "operator").await.unwrap();
    let_in(&nats, "ORD-1").await.unwrap();

    // The server's side first: the worker cannot come back, says so, and goes on trying.
    let next = Authority::new().unwrap();
    next.write(&site.dir().join("ca-of-the-server.pem")).unwrap();
    std::fs::rename(site.dir().join("ca-of-the-server.pem"), site.dir().join("ca.pem")).unwrap();
    next.sign(site.dir(), "server").unwrap();
    std::fs::write(&ours.cert, "it is being replaced").unwrap();
    site.restart().await.unwrap();
    worker.until_said("nats: trying again").await.unwrap();
    assert!(
        worker
            .said()
            .contains("client.pem, but there is no certificate in it"),
        "{}",
        worker.said()
    );

    next.sign(site.dir(), "client").unwrap();
    let nats = Nats::connect_with(&args, "operator").await.unwrap();
    let_in(&nats, "ORD-2").await.unwrap();
    assert_eq!(worker.id().unwrap(), id);
    worker.terminate().await.unwrap();
    assert_eq!(worker.ended().await.unwrap().0, Some(0));
}

/// The order worker as a process, with the flags of these arguments.
fn start(args: &ConnectionArgs) -> Result<Process> {
    let mut command = jetsaga()?;
    command.args(["worker", "order", "--provision", "--nats-url", &args.nats_url]);
    for (flag, file) in [
        ("--nats-ca-file", &args.nats_ca_file),
        ("--nats-cert-file", &args.nats_cert_file),
        ("--nats-key-file", &args.nats_key_file),
    ] {
        if let Some(file) = file {
            command.arg(flag).arg(file);
        }
    }
    Process::start(&mut command)
}

async fn let_in(nats: &Nats, id: &str) -> Result<()> {
    let sent = nats
        .jetstream
        .publish("in.checkout.OrderCreated", order(id).to_string().into());
    sent.await?.await?;
    let entity = EntitySubject::new(&Token::new("checkout")?, &Token::new(id)?);
    let journal = Journal::new(nats);
    until(id, async || {
        Ok(journal
            .last::<State>(&entity, Freshness::Leader)
            .await?
            .map(|_| ()))
    })
    .await
}
