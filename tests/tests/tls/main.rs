//! TLS to NATS, with and without certificates of our own, and files that are replaced while a worker runs; and TLS to
//! the payment provider.

mod authority;
mod mutual;
mod payment;

use std::path::Path;

use authority::Authority;
use jetsaga::{
    ConnectError, ConnectionArgs, Nats,
    anyhow::{Result, bail},
};
use jetsaga_tests::harness::Guarded;

/// A server that shows a certificate of this authority, and wants one of ours if `verify`.
async fn server(authority: &Authority, verify: bool) -> Result<Guarded> {
    Guarded::start(|dir| {
        authority.write(&dir.join("ca.pem"))?;
        authority.sign(dir, "server")?;
        let at = dir.display();
        Ok(format!(
            "tls {{\n  cert_file: \"{at}/server.pem\"\n  key_file: \"{at}/server.key\"\n  ca_file: \"{at}/ca.pem\"\n  verify: \
             {verify}\n}}\n"
        ))
    })
    .await
}

/// How to connect to it with these authorities.
fn trusting(site: &Guarded, ca: &Path) -> ConnectionArgs {
    ConnectionArgs {
        nats_ca_file: Some(ca.to_owned()),
        ..ConnectionArgs::to(&site.url())
    }
}

/// What is said about TLS that does not come about.
async fn refusal(args: &ConnectionArgs) -> Result<String> {
    match Nats::connect_with(args, "worker").await {
        Err(error @ ConnectError::Tls { .. }) => Ok(error.to_string()),
        Err(error) => bail!("{error}"),
        Ok(_) => bail!("it is let in"),
    }
}

#[tokio::test]
async fn a_server_is_trusted_by_the_authority_that_is_named() {
    let site = server(&Authority::new().unwrap(), false).await.unwrap();
    let ca = site.dir().join("ca.pem");
    let plain = trusting(&site, &ca);
    assert!(Nats::connect_with(&plain, "worker").await.is_ok());
    let by_scheme = ConnectionArgs {
        nats_url: site.url().replace("nats://", "tls://"),
        ..plain
    };
    assert!(Nats::connect_with(&by_scheme, "worker").await.is_ok());
    // Where several are named, one that answers is enough.
    let several = ConnectionArgs {
        nats_url: format!("tls://127.0.0.1:1,{}", by_scheme.nats_url),
        ..by_scheme
    };
    assert!(Nats::connect_with(&several, "worker").await.is_ok());
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused() {
    let site = server(&Authority::new().unwrap(), false).await.unwrap();
    for name in ["authority", "another"] {
        let other = Authority::named(name).unwrap();
        let other = other.write(&site.dir().join("other.pem")).unwrap();
        let said = refusal(&trusting(&site, &other)).await.unwrap();
        let wrong = format!("no authority in {} has signed its certificate", other.display());
        assert!(said.contains(&wrong) && said.contains("--nats-ca-file"), "{said}");
    }

    let said = refusal(&ConnectionArgs::to(&site.url())).await.unwrap();
    assert!(said.contains("--nats-ca-file"), "{said}");
}

/// Whoever asks for TLS talks to nobody without it.
#[tokio::test]
async fn a_server_without_tls_is_refused() {
    let authority = Authority::new().unwrap();
    let site = Guarded::start(|dir| authority.write(&dir.join("ca.pem")).map(|_| String::new()))
        .await
        .unwrap();
    let said = refusal(&trusting(&site, &site.dir().join("ca.pem")))
        .await
        .unwrap();
    assert!(said.contains("does not speak TLS on this port"), "{said}");
    assert!(Nats::connect(&site.url(), "worker").await.is_ok());
}

#[tokio::test]
async fn a_file_that_holds_no_certificate_is_named() {
    let site = Guarded::start(|_| Ok(String::new())).await.unwrap();
    let file = site.dir().join("ca.pem");
    for (text, why) in [("", "it is empty"), ("hello", "there is no certificate in it")] {
        std::fs::write(&file, text).unwrap();
        let error = Nats::connect_with(&trusting(&site, &file), "worker")
            .await
            .unwrap_err();
        let said = error.to_string();
        for part in ["--nats-ca-file", "JETSAGA_NATS_CA_FILE", "ca.pem", why] {
            assert!(said.contains(part), "{said}");
        }
    }
}
