//! A system is taken into a folder while orders come in, its server is lost, and it goes on from the folder on another.

mod half;
mod marks;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use jetsaga::{
    Topology,
    anyhow::{self, Context as _, Result, ensure},
    subject::{EVENTS, RESTORE, RETRY},
};
use jetsaga_cli::NatsServer;
use jetsaga_tests::harness::{
    Cluster, Process, Role, Shape, System, clean, ended_well, fsck, jetsaga, order_with, signal, until,
};
use serde_json::{Value, json};

/// Orders before the backup, and while it is taken.
const BEFORE: usize = 120;
const MEANWHILE: usize = 60;

/// What the tool comes to with these words, against this server.
async fn tool(url: &str, words: &[&str]) -> Result<Output> {
    let mut command = jetsaga()?;
    command.args(["--json", "--nats-url", url]).args(words);
    Ok(command.output().await?)
}

/// The same, where it succeeds: the document that it prints.
async fn done(url: &str, words: &[&str]) -> Result<Value> {
    let run = tool(url, words).await?;
    ensure!(
        run.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    Ok(serde_json::from_slice(&run.stdout)?)
}

/// The same, where it fails: what it says.
async fn refused(url: &str, words: &[&str]) -> Result<String> {
    let run = tool(url, words).await?;
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    ensure!(
        run.status.code() == Some(1),
        "{words:?} ended with {}: {said}",
        run.status
    );
    Ok(said)
}

fn event(n: usize) -> Value {
    let id = format!("ORD-{n}");
    match n % 10 {
        3 => order_with(&id, "/paymentMethod", "tok_decline"),
        5 => order_with(&id, "/shippingAddress/zip", "00000"),
        _ => order_with(&id, "/customerId", format!("CUST-{n}")),
    }
}

fn crew<S>(system: &System<S>) -> Result<Vec<Process>> {
    let start = |role: &Role| Process::start(&mut system.as_process(*role, jetsaga()?));
    Role::CHECKOUT.iter().map(start).collect()
}

/// A system with orders under way, some of them waiting for a retry, and the folder that it was taken into meanwhile.
/// Everything of it has ended but the provider.
async fn taken_under_load() -> Result<(System, PathBuf)> {
    let system = System::bare().await?;
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 10_000).await?;
    }
    let crew = crew(&system)?;
    for worker in &crew {
        worker.until_said("working worker=").await?;
    }
    // Charges take a while, and most of them fail: some orders wait for their next attempt.
    let trouble = json!({"delay_ms": 100, "error_rate": 0.8});
    system.provider.failures(trouble).await?;
    for n in 0..BEFORE {
        system.place(&event(n)).await?;
    }
    until("some charges are put off", async || {
        let put_off = system.js.get_stream(RETRY).await?.cached_info().state.messages;
        Ok((put_off >= 10).then_some(()))
    })
    .await?;
    let folder = system.dir().join("backup");
    let shown = folder.display().to_string();
    let meanwhile = async {
        for n in BEFORE..BEFORE + MEANWHILE {
            system.place(&event(n)).await?;
        }
        anyhow::Ok(())
    };
    let words = ["backup", &shown];
    let (backup, placed) = tokio::join!(done(&system.url, &words), meanwhile);
    let (backup, ()) = (backup?, placed?);
    ensure!(backup["streams"] == 10, "{backup}");
    let under_way = open(&system).await?;
    let put_off = messages(&folder, RETRY)?;
    println!("{backup}, {under_way} orders under way, {put_off} messages in RETRY");
    ensure!(under_way > 0 && put_off > 0, "there was nothing to go on with");
    drop(crew); // killed where they stand
    system
        .provider
        .failures(json!({"delay_ms": 0, "error_rate": 0}))
        .await?;
    Ok((system, folder))
}

/// Workers go on with what was restored; who placed an order that came too late for the backup places it again.
async fn goes_on<S>(system: &System<S>) -> Result<()> {
    let (fine, report) = fsck(system, &["--no-ledger"]).await?;
    ensure!(fine, "before any worker has done anything: {report:#}");
    let _crew = crew(system)?;
    let ids: Vec<_> = (0..BEFORE + MEANWHILE).map(|n| format!("ORD-{n}")).collect();
    for id in &ids[..BEFORE] {
        system
            .until_final(id)
            .await
            .context("it was accepted before the backup")?;
    }
    for n in BEFORE..BEFORE + MEANWHILE {
        system.place(&event(n)).await?;
    }
    for id in &ids {
        system.until_final(id).await?;
    }
    system.until_idle().await?;
    let refused = (0..ids.len()).filter(|n| matches!(n % 10, 3 | 5)).count();
    ended_well(system, &ids, refused).await?;
    Ok(())
}

/// How many messages of a stream are in the backup.
fn messages(folder: &Path, stream: &str) -> Result<u64> {
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json"))?)?;
    let mut parts = manifest["streams"].as_array().context("no streams")?.iter();
    let part = parts.find(|part| part["name"] == stream);
    part.and_then(|part| part["state"]["messages"].as_u64())
        .context("no such stream")
}

/// How many of the first orders are in the journal and not at their end.
async fn open(system: &System) -> Result<usize> {
    let mut open = 0;
    for n in 0..BEFORE {
        let state = system.state(&format!("ORD-{n}")).await?;
        open += usize::from(state.is_some_and(|state| !state.is_final()));
    }
    Ok(open)
}

#[tokio::test]
async fn what_was_taken_under_load_goes_on_on_another_server() {
    let (system, folder) = taken_under_load().await.unwrap();
    let other = async |dir: &Path| {
        let server = NatsServer::start(dir, 0).await?;
        let url = server.url();
        Ok((server, url))
    };
    let system = system.moved(other).await.unwrap();
    let shown = folder.display().to_string();
    let restored = done(&system.url, &["restore", &shown]).await.unwrap();
    assert_eq!(restored["restored"].as_array().unwrap().len(), 10, "{restored}");
    assert_eq!(restored["consumers"], 12, "{restored}");
    topology_is_the_same(&system, 1).await.unwrap();
    goes_on(&system).await.unwrap();
}

#[tokio::test]
async fn what_was_taken_from_one_server_goes_on_in_a_cluster() {
    let (system, folder) = taken_under_load().await.unwrap();
    let other = async |dir: &Path| {
        let server = Cluster::start(dir, Shape::Three).await?;
        let url = server.url();
        Ok((server, url))
    };
    let system = system.moved(other).await.unwrap();
    let shown = folder.display().to_string();
    let words = ["restore", &shown, "--replicas", "3"];
    let restored = done(&system.url, &words).await.unwrap();
    assert_eq!(restored["consumers"], 12, "{restored}");
    topology_is_the_same(&system, 3).await.unwrap();
    goes_on(&system).await.unwrap();
}

/// Nothing differs from what an installation would have made.
async fn topology_is_the_same<S>(system: &System<S>, replicas: usize) -> Result<()> {
    let mut wanted = Topology::new(replicas);
    for role in Role::CHECKOUT {
        let worker = system.worker(role, &system.nats).await?;
        wanted.consumers.extend(worker.topology(replicas).consumers);
    }
    let differences = wanted.diff(&system.nats).await?;
    ensure!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

/// A backup of a few orders, all of them at their end, and its folder.
async fn small() -> Result<(System, PathBuf)> {
    let (system, crew) = System::checkout().await?;
    for n in 0..4 {
        system.place(&event(n)).await?;
    }
    for n in 0..4 {
        system.until_final(&format!("ORD-{n}")).await?;
    }
    system.until_idle().await?;
    for worker in crew {
        worker.stop().await?;
    }
    let folder = system.dir().join("backup");
    done(&system.url, &["backup", &folder.display().to_string()]).await?;
    Ok((system, folder))
}

/// An empty server of its own.
async fn vacant(dir: &Path) -> Result<NatsServer> {
    NatsServer::start(&dir.join("vacant"), 0).await
}

#[tokio::test]
async fn a_backup_that_is_not_whole_is_not_restored_in_part() {
    let (system, folder) = small().await.unwrap();
    let empty = vacant(system.dir()).await.unwrap();
    let js = async_nats::jetstream::new(async_nats::connect(empty.url()).await.unwrap());
    let shown = folder.display().to_string();
    let words = ["restore", &shown];
    let (events, manifest) = (folder.join("EVENTS.snapshot"), folder.join("manifest.json"));
    let (whole, text) = (fs::read(&events).unwrap(), fs::read_to_string(&manifest).unwrap());
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    let cases: [(&Path, Option<Vec<u8>>, &str); 6] = [
        (
            &events,
            Some(whole[..whole.len() - 1].to_vec()),
            "the snapshot of EVENTS",
        ),
        (&events, Some(changed), "was changed since the backup"),
        (&events, None, "the snapshot of EVENTS"),
        (&manifest, None, "a folder without a manifest is no backup"),
        (
            &manifest,
            Some(text.replace("\"acknowledged\": ", "\"acknowledged\": 1").into()),
            "manifest.json was changed",
        ),
        (
            &folder.join("manifest.json.sha256"),
            None,
            "manifest.json.sha256 cannot be read",
        ),
    ];
    for (path, content, says) in cases {
        let before = fs::read(path).unwrap();
        match content {
            Some(content) => fs::write(path, content).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        let said = refused(&empty.url(), &words).await.unwrap();
        assert!(said.contains(says), "{says}: {said}");
        assert!(
            js.get_stream(EVENTS).await.is_err(),
            "{says}: something was restored"
        );
        fs::write(path, before).unwrap();
    }
    let foreign = text.replace("\"version\": 2,", "\"version\": 9,");
    sealed(&folder, &foreign).unwrap();
    let said = refused(&empty.url(), &words).await.unwrap();
    assert!(said.contains("version 9; this jetsaga reads"), "{said}");
    sealed(&folder, &text).unwrap();
    let restored = done(&empty.url(), &words).await.unwrap();
    assert_eq!(restored["restored"].as_array().unwrap().len(), 10, "{restored}");
}

/// Writes the manifest with the digest that it would have.
fn sealed(folder: &Path, text: &str) -> Result<()> {
    fs::write(folder.join("manifest.json"), text)?;
    let mut sum = std::process::Command::new("sha256sum");
    let sum = sum.arg("manifest.json").current_dir(folder).output()?;
    Ok(fs::write(folder.join("manifest.json.sha256"), sum.stdout)?)
}

#[tokio::test]
async fn nothing_is_written_over() {
    let (system, folder) = small().await.unwrap();
    let shown = folder.display().to_string();
    let said = refused(&system.url, &["backup", &shown]).await.unwrap();
    assert!(said.contains("is not empty"), "{said}");

    let said = refused(&system.url, &["restore", &shown]).await.unwrap();
    assert!(
        said.contains("the server has EVENTS, ") && said.contains("Nothing was changed"),
        "{said}"
    );
    assert!(
        system.js.get_stream(RESTORE).await.is_err(),
        "a system in use is marked"
    );
    clean(&system, &["--at-rest"]).await.unwrap();

    let empty = vacant(system.dir()).await.unwrap();
    let other = system.dir().join("other").display().to_string();
    let said = refused(&empty.url(), &["backup", &other]).await.unwrap();
    assert!(said.contains("stream EVENTS is missing"), "{said}");
}

/// What stands in the way shows up when it is met; the streams that are there by then are named.
#[tokio::test]
async fn a_restore_that_fails_in_the_middle_says_what_is_there() {
    let (system, folder) = small().await.unwrap();
    let manifest = fs::read_to_string(folder.join("manifest.json")).unwrap();
    let mut damaged: Value = serde_json::from_str(&manifest).unwrap();
    let parts = damaged["streams"].as_array_mut().unwrap();
    // A server alone keeps no three replicas.
    let retry = parts.iter_mut().find(|part| part["name"] == "RETRY").unwrap();
    retry["config"]["num_replicas"] = json!(3);
    sealed(&folder, &damaged.to_string()).unwrap();
    let empty = vacant(system.dir()).await.unwrap();
    let run = tool(&empty.url(), &["restore", &folder.display().to_string()])
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(1), "{said}");
    for part in [
        "restored before were EVENTS, KV_KEYS, SEEN, TIMERS",
        "stream RETRY",
        "replicas",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains("repeat the same restore"), "{said}");
    let outcome: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(outcome["restored"].as_array().unwrap().len(), 4, "{outcome}");
    assert!(outcome["failed"].as_str().unwrap().contains("RETRY"), "{outcome}");
}
