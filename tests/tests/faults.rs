//! Two thousand orders while every worker is killed twenty times, then the books.

use jetsaga_tests::harness::jetsaga;
use serde_json::{Value, json};

/// Every worker, a process of its own, dies by SIGKILL twenty times with orders under way: every order still ends once,
/// the provider's ledger agrees to the cent, and stock is conserved. The seed is printed and makes the same kills.
#[tokio::test]
async fn twenty_kills_of_each_worker_lose_nothing_and_repeat_nothing() {
    let run = jetsaga()
        .unwrap()
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["--json", "demo", "--orders", "2000", "--kills", "20"])
        .args(["--kill", "order,payment,inventory,shipping,notifier"])
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    let summary: Value = serde_json::from_slice(&run.stdout).unwrap();
    println!("{summary}");
    assert_eq!(summary["kills"], 100, "{summary}");
    assert!(summary["leastUnderWay"].as_u64().unwrap() > 0, "{summary}");
    let verdict = &summary["verdict"];
    assert_eq!(verdict["violations"], json!([]), "seed {}", summary["seed"]);
    let ended = verdict["completed"].as_u64().unwrap() + verdict["cancelled"].as_u64().unwrap();
    assert_eq!(ended, 2001, "{summary}");
}
