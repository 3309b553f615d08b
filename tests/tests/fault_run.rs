//! The fault run, as long as a build has time for it: `make soak` runs it for longer.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

/// Three minutes on three nats-servers with two replicas of every worker: at least sixty faults, every kind of them,
/// and orders all the while. Nothing is lost, nothing is done twice, and all is at rest within a minute of the last
/// fault. The seed is fixed, so that every build breaks the same, and
/// the rate leaves room for the other tests; `make soak` draws its own seed and places twice as many.
#[tokio::test]
async fn three_minutes_of_faults_lose_nothing_and_repeat_nothing() {
    let run = Command::new(env!("CARGO_BIN_EXE_faults"))
        .args([
            "--json",
            "--minutes",
            "3",
            "--quiet",
            "30s",
            "--seed",
            "7",
            "--rate",
            "12",
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    let report: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    println!("{report:#}");
    assert!(run.status.success(), "{said}\n{:#}", report["violations"]);
    assert!(report["faults"].as_u64().unwrap() >= 60, "{report:#}");
    assert_eq!(report["kinds"].as_object().unwrap().len(), 22, "{report:#}");
    assert!(report["drainMs"].as_u64().unwrap() <= 60_000, "{report:#}");
}
