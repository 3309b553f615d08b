use jetsaga_tests::harness::{System, order, until};

use crate::{fleet::Fleet, receiver::Receiver};

/// Who takes traces and metrics for a key gets it with both, from a file, and nobody else sees it.
#[tokio::test]
async fn a_key_goes_with_traces_and_metrics() {
    let system = System::bare().await.unwrap();
    let receiver = Receiver::start_for(Some(("api-key", "s3,cret%2C")))
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("headers");
    let fleet = Fleet::new(&system, &receiver.url);
    let with_key = |value: &str| {
        std::fs::write(&file, format!("api-key={value}\nx-scope-orgid=7\n")).unwrap();
        file.clone()
    };
    let right = with_key("s3%2Ccret%252C");
    let order_worker = fleet
        .start_with("order", |command| {
            command
                .arg("--otlp-headers-file")
                .arg(right)
                .env("JETSAGA_LOG", "trace")
        })
        .await
        .unwrap();
    system.place(&order("ORD-1")).await.unwrap();
    until("both have come", async || {
        let both = !receiver.spans().is_empty() && !receiver.metrics("order").is_empty();
        Ok(both.then_some(()))
    })
    .await
    .unwrap();

    let wrong = with_key("other");
    let payment = fleet
        .start_with("payment", |command| command.arg("--otlp-headers-file").arg(wrong))
        .await
        .unwrap();
    payment.until_said("the receiver answers 401").await.unwrap();
    assert!(receiver.metrics("payment").is_empty());
    for process in [order_worker, payment] {
        process.terminate().await.unwrap();
        let (code, said) = process.ended().await.unwrap();
        assert_eq!(code, Some(0), "{said}");
        let shown = said
            .lines()
            .find(|line| line.contains("s3,cret") || line.contains("s3%2Ccret"));
        assert_eq!(shown, None);
    }
}
