//! The payment provider behind TLS, as every real one is.

use std::sync::Arc;

use jetsaga::{
    Status,
    anyhow::{Context as _, Result},
};
use jetsaga_tests::harness::{Process, Role, System, jetsaga, order};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use crate::authority::{Authority, Pair};

/// Listens with this certificate, and passes on what it hears to `address` in the clear.
async fn front(pair: &Pair, address: String) -> Result<String> {
    let chain = CertificateDer::pem_file_iter(&pair.cert)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&pair.key)?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, address) = (acceptor.clone(), address.clone());
            tokio::spawn(async move {
                let mut outside = acceptor.accept(stream).await?; // an untrusting client ends it here
                let mut inside = TcpStream::connect(address).await?;
                copy_bidirectional(&mut outside, &mut inside).await
            });
        }
    });
    Ok(url)
}

/// A payment worker that calls the provider at `url` and trusts this authority.
async fn payment(system: &System, url: &str, authority: &std::path::Path) -> Result<Process> {
    let mut command = jetsaga()?;
    command
        .args(["worker", "payment", "--nats-url", &system.server.url()])
        .args(["--payment-provider-url", url])
        .args(["--log", "debug"])
        .env("SSL_CERT_FILE", authority);
    let process = Process::start(&mut command)?;
    process.until_said("working").await?;
    Ok(process)
}

#[tokio::test]
async fn a_provider_behind_tls_is_called_if_it_is_trusted() {
    let system = System::bare().await.unwrap();
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 100).await.unwrap();
    }
    let mut running = Vec::new();
    for role in [Role::Order, Role::Inventory, Role::Shipping] {
        running.push(system.start(role).await.unwrap());
    }
    system.provision(&Role::CHECKOUT).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new().unwrap();
    let ca = authority.write(&dir.path().join("ca.pem")).unwrap();
    let other = Authority::named("another").unwrap();
    let other = other.write(&dir.path().join("other.pem")).unwrap();
    let pair = authority.sign(dir.path(), "provider").unwrap();
    let provider = system
        .provider
        .url
        .strip_prefix("http://")
        .context("a URL")
        .unwrap();
    let url = front(&pair, provider.to_owned()).await.unwrap();

    // One that trusts somebody else charges nothing, and says why.
    let untrusting = payment(&system, &url, &other).await.unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    untrusting.until_said("put off").await.unwrap();
    assert!(untrusting.said().contains("certificate"), "{}", untrusting.said());
    assert_eq!(system.provider.books().await.unwrap().charges, 0);
    untrusting.terminate().await.unwrap();
    untrusting.ended().await.unwrap();

    let _trusting = payment(&system, &url, &ca).await.unwrap();
    let state = system.until_final("ORD-1").await.unwrap();
    assert_eq!(state.status, Status::Completed);
    assert!(system.provider.books().await.unwrap().charges > 0);
}
