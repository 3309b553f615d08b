use jetsaga_tests::harness::{order_with, until};
use tokio::net::TcpListener;

use crate::{
    fleet::{Fleet, stocked},
    metrics::scrape,
};

/// Where traces go nowhere that answers, everything is done as if there were none, and what is lost is counted.
#[tokio::test]
async fn trouble_with_the_receiver_stops_nobody_and_is_counted() {
    let system = stocked().await.unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap(); // it takes connections, and never answers
    let url = format!("http://{}", nobody.local_addr().unwrap());
    let fleet = Fleet::new(&system, &url);
    let mut running = Vec::new();
    for worker in ["order", "payment", "inventory", "shipping"] {
        let small = ["--trace-queue", "4", "--http-listen", "127.0.0.1:0"];
        running.push(
            fleet
                .start_with(worker, |command| command.args(small))
                .await
                .unwrap(),
        );
    }
    for n in 0..20 {
        let order = order_with(&format!("ORD-{n}"), "/customerId", "CUST-1");
        system.place(&order).await.unwrap();
    }
    for n in 0..20 {
        system.until_final(&format!("ORD-{n}")).await.unwrap();
    }
    let probes = running[0].until_said("probes are served address=").await.unwrap();
    // At most four spans of twenty orders are held, and four are on their way.
    until("dropped spans are counted", async || {
        let dropped = scrape(&probes).await?["jetsaga_spans_dropped_total"];
        Ok((dropped >= 20.0).then_some(()))
    })
    .await
    .unwrap();
    for process in running {
        process.terminate().await.unwrap();
        let (code, said) = process.ended().await.unwrap();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("metrics are not taken by OTLP"), "{said}");
    }
}
