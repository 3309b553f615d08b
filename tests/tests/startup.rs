//! What a process says when it cannot start, and that it leaves nothing behind.

use std::{net::TcpListener, path::Path, process::Stdio};

use jetsaga::anyhow::{self, Context as _};
use jetsaga_tests::harness::{Process, System, jetsaga, signal, until};
use tempfile::TempDir;
use tokio::{net::TcpSocket, process::Command};

/// What a command that is expected to fail comes to: its exit code and its words.
async fn run(args: &[&str], env: Option<(&str, &str)>) -> anyhow::Result<(Option<i32>, String)> {
    Process::start(jetsaga()?.args(args).envs(env))?.ended().await
}

#[tokio::test]
async fn without_a_nats_server_it_says_where_it_looked() {
    let reserved = TcpSocket::new_v4().unwrap(); // it has a port, and does not listen
    reserved.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nowhere = format!("nats://{}", reserved.local_addr().unwrap());
    for args in [
        ["worker", "payment"].as_slice(),
        &["show", "ORD-1"],
        &["letters", "list"],
    ] {
        let (code, said) = run(args, Some(("JETSAGA_NATS_URL", &nowhere))).await.unwrap();
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains(&format!("no nats-server answers at {nowhere}")),
            "{said}"
        );
        assert!(said.contains("JETSAGA_NATS_URL"), "{said}");
    }
}

#[tokio::test]
async fn a_nats_server_without_jetstream_is_refused() {
    let dir = TempDir::new().unwrap();
    let server = std::env::var_os("NATS_SERVER").unwrap_or_else(|| "nats-server".into());
    let mut server = Command::new(server);
    server
        .args(["--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir"])
        .arg(dir.path());
    let server = Process::start(server.stdin(Stdio::null()).kill_on_drop(true)).unwrap();
    let url = until("it listens", async || Ok(listening(dir.path(), server.id()?)))
        .await
        .unwrap();

    let (code, said) = run(&["worker", "order", "--nats-url", &url], None).await.unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&format!(
            "nats-server at {url} runs without JetStream; start it with -js"
        )),
        "{said}"
    );
}

/// The URL in the file that a nats-server writes once it listens.
fn listening(dir: &Path, id: u32) -> Option<String> {
    let text = std::fs::read(dir.join(format!("nats-server_{id}.ports"))).ok()?;
    let ports: serde_json::Value = serde_json::from_slice(&text).ok()?;
    ports["nats"][0].as_str().map(str::to_owned)
}

#[tokio::test]
async fn missing_streams_stop_the_start_unless_they_are_to_be_made() {
    let system = System::bare().await.unwrap();
    system.js.delete_stream("RETRY").await.unwrap();
    let url = system.server.url();
    let (code, said) = run(&["worker", "order", "--nats-url", &url], None).await.unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("stream RETRY is missing; run `jetsaga topology ensure`"),
        "{said}"
    );
    assert!(said.contains("--provision"), "{said}");

    let provisioning = ["worker", "order", "--nats-url", &url, "--provision"];
    let worker = Process::start(jetsaga().unwrap().args(provisioning)).unwrap();
    worker.until_said("working").await.unwrap();
    assert!(system.js.get_stream("RETRY").await.is_ok());
    worker.terminate().await.unwrap();
    assert_eq!(worker.ended().await.unwrap().0, Some(0));
}

/// One node with the default policy keeps what a process crash leaves, and says so; whoever asks for more is refused.
#[tokio::test]
async fn a_worker_says_what_it_survives_and_refuses_to_run_on_less() {
    let system = System::bare().await.unwrap();
    let url = system.server.url();
    let line = ["worker", "order", "--nats-url", &url, "--provision"];
    let worker = Process::start(jetsaga().unwrap().args(line)).unwrap();
    worker.until_said("working").await.unwrap();
    let words = "process-crash safe: yes; node-loss safe: no (replicas 1); power-loss safe: unknown";
    assert!(worker.said().contains(words), "{}", worker.said());
    for (required, says) in [
        ("node-loss", "a stream has 1 replicas; it takes 3"),
        ("power-loss", "nobody was asked"),
    ] {
        let line = [line.as_slice(), &["--require-durability", required]].concat();
        let said = refused(&line).await.unwrap();
        assert!(said.contains(says), "{said}");
    }
}

/// That the command fails, and what it says.
async fn refused(args: &[&str]) -> anyhow::Result<String> {
    let (code, said) = run(args, None).await?;
    anyhow::ensure!(code == Some(1), "{code:?}: {said}");
    Ok(said)
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(&["worker", "order", "--http-listen", &address])
        .await
        .unwrap();
    let named = format!("JETSAGA_HTTP_LISTEN {address} cannot be listened on");
    assert!(said.contains(&named), "{said}");

    let dir = TempDir::new().unwrap();
    let store = dir.path().display().to_string();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = refused(&["dev", "--store", &store, "--nats-port", &port])
        .await
        .unwrap();
    let named = format!("port {port} is in use; name another with --nats-port");
    assert!(said.contains(&named), "{said}");
}

/// Two servers on one store would destroy each other's streams.
#[tokio::test]
async fn a_store_is_for_one_dev_at_a_time() {
    let dir = TempDir::new().unwrap();
    let store = dir.path().display().to_string();
    let ports = [
        "--nats-port",
        "0",
        "--provider-listen",
        "127.0.0.1:0",
        "--gateway-listen",
        "127.0.0.1:0",
    ];
    let line = [["dev", "--store", &store].as_slice(), &ports].concat();
    let stock = [
        "--stock",
        concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/seed/stock.json"),
    ];
    let first = Process::start(jetsaga().unwrap().args(&line).args(stock)).unwrap();
    first.until_said("jetsaga runs").await.unwrap();
    let said = refused(&line).await.unwrap();
    let holder = format!("jetsaga is process {}", first.id().unwrap());
    assert!(
        said.contains("is in use by another jetsaga") && said.contains(&holder),
        "{said}"
    );

    let server = server_of(dir.path()).unwrap();
    signal("-KILL", &server.to_string()).await.unwrap();
    let (code, said) = first.ended().await.unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the nats-server ended with signal: 9"), "{said}");
}

/// A file is read before anything of it is placed.
#[tokio::test]
async fn a_broken_file_of_orders_places_nothing() {
    let system = System::bare().await.unwrap();
    let file = system.notices();
    let good = jetsaga_tests::harness::order("ORD-1").to_string();
    std::fs::write(&file, format!("{good}\n{{\"eventId\": 1,,}}\n{good}\n")).unwrap();
    let url = system.server.url();
    let said = refused(&["place", &file.display().to_string(), "--nats-url", &url])
        .await
        .unwrap();
    assert!(
        said.contains("after 1 whole orders: nothing was placed"),
        "{said}"
    );
    assert!(said.contains("line 2"), "{said}");
    let inbox = system.js.get_stream("INBOX").await.unwrap();
    assert_eq!(inbox.cached_info().state.last_sequence, 0);
}

/// A reader that has seen enough is no failure.
#[tokio::test]
async fn a_closed_pipe_is_no_error() {
    let mut diagram = jetsaga().unwrap();
    let mut diagram = diagram
        .arg("diagram")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(diagram.stdout.take());
    let ended = diagram.wait_with_output().await.unwrap();
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0));
}

#[tokio::test]
async fn dev_that_fails_half_way_leaves_nothing_running() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = TempDir::new().unwrap();
    let store = dir.path().display().to_string();
    let place = [
        "--store",
        &store,
        "--nats-port",
        "0",
        "--provider-listen",
        &address,
    ];
    let said = refused(&[["dev"].as_slice(), &place].concat()).await.unwrap();
    let named = format!("{address} cannot be listened on");
    assert!(
        said.contains(&named) && said.contains("--provider-listen"),
        "{said}"
    );
    let server = server_of(dir.path()).unwrap();
    until("its nats-server is gone", async || {
        Ok((!is_running(server)).then_some(()))
    })
    .await
    .unwrap();
}

/// The process id of the nats-server that wrote into a store of `dev`.
fn server_of(store: &Path) -> anyhow::Result<u32> {
    let log = std::fs::read_to_string(store.join("nats").join("nats-server.log"))?;
    let id = log
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .context("an empty log")?
        .0;
    Ok(id.parse()?)
}

/// True while the process works; one that has ended and was not asked after does not.
fn is_running(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    status
        .rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[tokio::test]
async fn dev_runs_an_order_and_ends_with_everything_that_it_started() {
    let dir = TempDir::new().unwrap();
    let store = dir.path().display().to_string();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let args = [
        "dev",
        "--store",
        &store,
        "--nats-port",
        "0",
        "--provider-listen",
        "127.0.0.1:0",
        "--gateway-listen",
        "127.0.0.1:0",
        "--log",
        "info",
    ];
    let dev = Process::start(jetsaga().unwrap().current_dir(root).process_group(0).args(args)).unwrap();
    let url = dev
        .until_said("nats-server at ")
        .await
        .unwrap()
        .trim_end_matches(',')
        .to_owned();

    let env = Some(("JETSAGA_NATS_URL", url.as_str()));
    let order = format!("{root}/deploy/seed/order.json");
    let (code, said) = run(&["place", &order], env).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&["show", "ORD-987654", "--wait"], env).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("checkout ORD-987654  completed"), "{said}");

    // Ctrl-c in a terminal goes to every process of the group.
    let server = server_of(dir.path()).unwrap();
    signal("-INT", &format!("-{}", dev.id().unwrap())).await.unwrap();
    let (code, said) = dev.ended().await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    let warned: Vec<&str> = said.lines().filter(|line| line.contains("WARN")).collect();
    assert!(
        matches!(warned.as_slice(), [line] if line.contains("AUTHENTICATION IS OFF")),
        "{said}"
    );
    assert!(!said.contains("ERROR"), "{said}");
    let [began, drained] =
        [": working worker=", ": drained worker="].map(|words| said.matches(words).count());
    assert!(began > 5 && drained == began, "all of {began} drain: {said}");
    assert!(!is_running(server), "the nats-server goes with it");
}

/// The processes that this one has started and that still run.
fn children(id: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn a_demo_that_is_told_to_stop_ends_with_everything_that_it_started() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut command = jetsaga().unwrap();
    let demo = Process::start(command.current_dir(root).args(["demo", "--orders", "100000"])).unwrap();
    demo.until_said("OrderShipped").await.unwrap();
    let started = children(demo.id().unwrap());
    assert!(started.len() >= 6, "a nats-server and five workers: {started:?}");
    demo.terminate().await.unwrap();
    let (code, said) = demo.ended().await.unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("stopped by a signal"), "{said}");
    until("the end of every process", async || {
        Ok(started.iter().all(|id| !is_running(*id)).then_some(()))
    })
    .await
    .unwrap();
}
