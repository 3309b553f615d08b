//! A restore that is killed in the middle leaves nothing that passes for a system, and is repeated.

use jetsaga::subject::{INBOX, KV_STATE};
use jetsaga_tests::harness::Hold;

use super::*;

/// What the restore is about to send when it is killed. Before the first of them nothing is there.
const MOMENTS: [&str; 8] = [
    "$JS.API.STREAM.RESTORE.EVENTS",
    "$JS.SNAPSHOT.RESTORE.EVENTS",
    "$JS.API.STREAM.RESTORE.RETRY",
    "$JS.API.STREAM.RESTORE.INBOX",
    "$JS.SNAPSHOT.RESTORE.INBOX",
    "$JS.API.CONSUMER.CREATE.INBOX",
    "$JS.API.CONSUMER.RESET.EVENTS",
    "$JS.API.STREAM.DELETE.RESTORE",
];

/// A system at rest but for one order that was accepted and that nobody has taken from the inbox, and its backup.
async fn with_one_accepted() -> Result<(System, String)> {
    let (system, crew) = System::checkout().await?;
    system.place(&event(0)).await?;
    system.until_final("ORD-0").await?;
    system.until_idle().await?;
    for worker in crew {
        worker.stop().await?;
    }
    system.place(&event(1)).await?;
    let folder = system.dir().join("backup").display().to_string();
    done(&system.url, &["backup", &folder]).await?;
    ensure!(
        messages(Path::new(&folder), INBOX)? == 1,
        "nothing is in the inbox"
    );
    Ok((system, folder))
}

/// Starts a restore and stops it where it is about to send `moment`.
async fn held(url: &str, restore: &[&str], moment: &'static str) -> Result<(Hold, Process)> {
    let hold = Hold::at(url, moment).await?;
    let mut command = jetsaga()?;
    command.args(["--nats-url", &hold.url()]).args(restore);
    let process = Process::start(&mut command)?;
    hold.until_held()
        .await
        .with_context(|| format!("{moment}: {}", process.said()))?;
    Ok((hold, process))
}

async fn kill(process: Process) -> Result<()> {
    signal("-KILL", &process.id()?.to_string()).await?;
    process.ended().await?;
    Ok(())
}

/// Nobody works with what is there, makes the rest or finds it good.
async fn everybody_refuses(url: &str, dir: &Path) -> Result<()> {
    let database = format!("sqlite:{}", dir.join("read.db").display());
    let another = dir.join("another-backup").display().to_string();
    for words in [
        ["topology", "ensure"].as_slice(),
        &["topology", "diff"],
        &["fsck", "--no-ledger"],
        &["fsck", "--no-ledger", "--repair"],
        &["backup", &another],
        &["show", "ORD-1"],
        &["worker", "order"],
        &["worker", "order", "--provision"],
        &["worker", "outbound"],
        &["worker", "projector", "--database-url", &database],
        &[
            "worker",
            "gateway",
            "--database-url",
            &database,
            "--gateway-without-authentication",
        ],
    ] {
        let mut command = jetsaga()?;
        command.args(words).env("JETSAGA_NATS_URL", url);
        let (code, said) = Process::start(&mut command)?.ended().await?;
        ensure!(code == Some(1), "{words:?} ends with {code:?}: {said}");
        for part in [
            "the restore of the backup of 20",
            "is not complete",
            "repeat the same `jetsaga restore`",
            "take an empty server",
        ] {
            ensure!(said.contains(part), "{words:?} does not say {part:?}: {said}");
        }
    }
    ensure!(!Path::new(&another).exists(), "a backup was begun");
    Ok(())
}

/// The repeated restore has brought everything that was taken.
async fn is_whole(url: &str, folder: &str) -> Result<()> {
    let js = async_nats::jetstream::new(async_nats::connect(url).await?);
    ensure!(js.get_stream(RESTORE).await.is_err(), "the mark is still there");
    ensure!(
        js.get_stream(INBOX).await?.cached_info().state.messages == 1,
        "the accepted order is gone"
    );
    let manifest: Value = serde_json::from_slice(&fs::read(Path::new(folder).join("manifest.json"))?)?;
    for part in manifest["streams"].as_array().context("no streams")? {
        let name = part["name"].as_str().context("no name")?;
        for consumer in part["consumers"].as_array().context("no consumers")? {
            let info = js.get_stream(name).await?;
            let durable = consumer["name"].as_str().context("no name")?;
            let info = info
                .consumer_info(durable)
                .await
                .map_err(|e| anyhow::anyhow!("{e}"))?;
            let floor = info.ack_floor.stream_sequence;
            ensure!(
                Some(floor) == consumer["acknowledged"].as_u64(),
                "{durable} on {name} begins after {floor}: {consumer}"
            );
        }
    }
    done(url, &["fsck", "--no-ledger"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_restore_that_is_killed_leaves_nothing_that_passes_for_a_system() {
    let (system, folder) = with_one_accepted().await.unwrap();
    let restore = ["restore", folder.as_str()];
    for (n, moment) in MOMENTS.into_iter().enumerate() {
        let dir = system.dir().join(format!("moment-{n}"));
        let mut empty = vacant(&dir).await.unwrap();
        let url = empty.url();
        let (hold, process) = held(&url, &restore, moment).await.unwrap();
        everybody_refuses(&url, &dir)
            .await
            .with_context(|| format!("while it runs, before {moment}"))
            .unwrap();
        kill(process).await.unwrap();
        drop(hold);
        if n % 2 == 0 {
            empty.kill_and_restart().await.unwrap();
        }
        everybody_refuses(&url, &dir)
            .await
            .with_context(|| format!("killed before {moment}"))
            .unwrap();
        let again = done(&url, &restore).await.unwrap();
        assert_eq!(again["restored"].as_array().unwrap().len(), 10, "{again}");
        assert_eq!(again["consumers"], 12, "{again}");
        is_whole(&url, &folder)
            .await
            .with_context(|| format!("killed before {moment}, and repeated"))
            .unwrap();
        let said = refused(&url, &restore).await.unwrap();
        assert!(said.contains("the server has EVENTS, "), "{said}");
    }
}

/// Killed before it could leave its mark, it has left nothing.
#[tokio::test]
async fn before_the_mark_there_is_nothing() {
    let (system, folder) = with_one_accepted().await.unwrap();
    let empty = vacant(system.dir()).await.unwrap();
    let url = empty.url();
    let restore = ["restore", folder.as_str()];
    let (_hold, process) = held(&url, &restore, "$JS.API.STREAM.CREATE.RESTORE")
        .await
        .unwrap();
    kill(process).await.unwrap();
    let said = refused(&url, &["fsck", "--no-ledger"]).await.unwrap();
    assert!(said.contains("stream EVENTS is missing"), "{said}");
    done(&url, &restore).await.unwrap();
    is_whole(&url, &folder).await.unwrap();
}

/// A snapshot that stops coming keeps its place in a cluster until somebody deletes it, which the repeated restore says. When
/// it has brought everything, the order that was in the inbox is carried out.
#[tokio::test]
async fn a_restore_that_is_killed_in_a_cluster_is_repeated() {
    let (system, folder) = with_one_accepted().await.unwrap();
    let restore = ["restore", folder.as_str(), "--replicas", "3"];
    let other = async |dir: &Path| {
        let server = Cluster::start(dir, Shape::Three).await?;
        let url = server.url();
        for moment in ["$JS.API.STREAM.RESTORE.SEEN", "$JS.SNAPSHOT.RESTORE.INBOX"] {
            let (_hold, process) = held(&url, &restore, moment).await?;
            kill(process).await?;
            everybody_refuses(&url, dir).await.context(moment)?;
        }
        let said = refused(&url, &restore).await?;
        ensure!(said.contains("`nats stream rm INBOX`"), "{said}");
        everybody_refuses(&url, dir).await?;
        let js = async_nats::jetstream::new(async_nats::connect(&url).await?);
        js.delete_stream(INBOX).await?;
        let (_hold, process) = held(&url, &restore, "$JS.API.CONSUMER.RESET.EVENTS").await?;
        kill(process).await?;
        everybody_refuses(&url, dir).await?;
        done(&url, &restore).await?;
        is_whole(&url, &folder).await?;
        Ok((server, url))
    };
    let system = system.moved(other).await.unwrap();
    topology_is_the_same(&system, 3).await.unwrap();
    let _crew = crew(&system).unwrap();
    system.until_final("ORD-1").await.unwrap();
    system.until_idle().await.unwrap();
    clean(&system, &["--at-rest"]).await.unwrap();
}

/// Nothing goes on there but the same restore, told the same, and nothing that is something else counts as its own.
#[tokio::test]
async fn only_the_same_restore_goes_on() {
    let (system, folder) = with_one_accepted().await.unwrap();
    let other = system.dir().join("other").display().to_string();
    done(&system.url, &["backup", &other]).await.unwrap();
    let empty = vacant(system.dir()).await.unwrap();
    let url = empty.url();
    let restore = ["restore", folder.as_str()];
    let (_hold, process) = held(&url, &restore, "$JS.API.STREAM.RESTORE.INBOX")
        .await
        .unwrap();
    kill(process).await.unwrap();

    let said = refused(&url, &["restore", &other]).await.unwrap();
    assert!(
        said.contains("the restore of another backup, of 20") && said.contains("Nothing was changed"),
        "{said}"
    );
    let said = refused(&url, &["restore", &folder, "--replicas", "1"])
        .await
        .unwrap();
    assert!(
        said.contains("was begun without --replicas; repeat it so"),
        "{said}"
    );

    // Somebody who knows nothing of marks has made what was missing.
    let js = async_nats::jetstream::new(async_nats::connect(&url).await.unwrap());
    let mut streams = Topology::new(1).streams.into_iter();
    let inbox = streams.find(|stream| stream.name == INBOX).unwrap();
    js.create_stream(inbox).await.unwrap();
    let said = refused(&url, &restore).await.unwrap();
    for part in [
        "restored before were EVENTS, ",
        KV_STATE,
        "stream INBOX",
        "it was there already, and is not what was taken",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    everybody_refuses(&url, system.dir()).await.unwrap();
    js.delete_stream(INBOX).await.unwrap();
    done(&url, &restore).await.unwrap();
    is_whole(&url, &folder).await.unwrap();
}

/// Whoever was connected before a restore began makes nothing of what it has not brought yet.
#[tokio::test]
async fn who_is_connected_already_makes_nothing_meanwhile() {
    let (system, folder) = with_one_accepted().await.unwrap();
    let empty = vacant(system.dir()).await.unwrap();
    let url = empty.url();
    let before = jetsaga::Nats::connect(&url, "before").await.unwrap();
    let restore = ["restore", folder.as_str()];
    let (_hold, process) = held(&url, &restore, "$JS.API.STREAM.RESTORE.INBOX")
        .await
        .unwrap();
    let error = Topology::new(1).ensure(&before).await.unwrap_err().to_string();
    assert!(
        error.contains("stream RESTORE: the restore of the backup of 20"),
        "{error}"
    );
    assert!(before.jetstream.get_stream(INBOX).await.is_err(), "it was made");
    kill(process).await.unwrap();
    done(&url, &restore).await.unwrap();
    is_whole(&url, &folder).await.unwrap();
}
