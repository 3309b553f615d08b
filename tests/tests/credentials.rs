//! Servers whose accounts are JWTs: a worker shows the credentials in a file, which may be replaced while it runs.

use std::path::{Path, PathBuf};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jetsaga::{ConnectError, ConnectionArgs, Nats, anyhow};
use jetsaga_tests::harness::{Guarded, until};
use nkeys::KeyPair;
use serde_json::{Value, json};

/// A JWT about `subject`, as NATS has it (version 2), signed by `issuer`.
fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, claims: &Value) -> anyhow::Result<String> {
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let body = json!({
        "jti": name, "iat": 1_700_000_000, "iss": issuer.public_key(), "name": name, "sub": subject.public_key(),
        "nats": claims,
    });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&body));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes())?);
    Ok(format!("{signed}.{signature}"))
}

fn account(operator: &KeyPair, account: &KeyPair, name: &str, storage: i64) -> anyhow::Result<String> {
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": storage, "disk_storage": storage, "streams": storage, "consumer": storage,
    });
    jwt(
        operator,
        account,
        name,
        &json!({"type": "account", "version": 2, "limits": limits}),
    )
}

/// Writes the credentials of a new user of this account.
fn write_credentials(path: &Path, account: &KeyPair) -> anyhow::Result<()> {
    let user = KeyPair::new_user();
    let claims = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
    let token = jwt(account, &user, "worker", &claims)?;
    let seed = user.seed()?;
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY \
         SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    Ok(std::fs::write(path, text)?)
}

/// The account in which the system is, with a server that knows it.
async fn server() -> anyhow::Result<(Guarded, KeyPair)> {
    let (operator, system, app) = (
        KeyPair::new_operator(),
        KeyPair::new_account(),
        KeyPair::new_account(),
    );
    let site = Guarded::start(|_| {
        let known = jwt(&operator, &operator, "operator", &json!({"type": "operator", "version": 2}))?;
        Ok(format!(
            "operator: \"{known}\"\nsystem_account: {sys}\nresolver: MEMORY\nresolver_preload {{\n  {sys}: \"{}\"\n  {}: \
             \"{}\"\n}}\n",
            account(&operator, &system, "system", 0)?,
            app.public_key(),
            account(&operator, &app, "app", -1)?,
            sys = system.public_key(),
        ))
    })
    .await?;
    Ok((site, app))
}

#[tokio::test]
async fn credentials_are_read_at_every_connection() {
    let (mut site, app) = server().await.unwrap();
    let file: PathBuf = site.dir().join("worker.creds");
    write_credentials(&file, &app).unwrap();
    let args = ConnectionArgs {
        nats_credentials_file: Some(file.clone()),
        ..ConnectionArgs::to(&site.url())
    };
    let nats = Nats::connect_with(&args, "worker").await.unwrap();

    write_credentials(&file, &app).unwrap();
    let credentials = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "").unwrap();
    site.restart().await.unwrap();
    until("it is cut off", async || {
        let state = nats.client.connection_state();
        Ok((state != async_nats::connection::State::Connected).then_some(()))
    })
    .await
    .unwrap();
    std::fs::write(&file, credentials).unwrap();
    until("it is back", async || {
        Ok(nats.jetstream.query_account().await.ok())
    })
    .await
    .unwrap();

    // Of an account that the server does not know.
    write_credentials(&file, &KeyPair::new_account()).unwrap();
    let error = Nats::connect_with(&args, "worker").await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    let said = error.to_string();
    assert!(
        said.contains("worker.creds") && said.contains("--nats-credentials-file"),
        "{said}"
    );
}
