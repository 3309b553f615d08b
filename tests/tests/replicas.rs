//! Three replicas of every worker, each on a connection of its own, and a few hundred orders at once.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use jetsaga::anyhow;
use jetsaga_tests::harness::{Role, Running, System, audit, order_with};
use serde_json::json;

const ORDERS: usize = 200;

/// Every tenth order is refused, one way or another.
fn placed(n: usize) -> serde_json::Value {
    let id = format!("ORD-{n}");
    match n % 30 {
        5 => order_with(&id, "/paymentMethod", "tok_decline"),
        15 => order_with(&id, "/shippingAddress/zip", "00000"),
        25 => order_with(
            &id,
            "/items",
            json!([{"productId": "PROD-B2", "quantity": 9_000}]),
        ),
        _ => order_with(&id, "/customerId", format!("CUST-{n}")),
    }
}

async fn crew(system: &System) -> anyhow::Result<Vec<Running>> {
    let mut running = Vec::new();
    for _ in 0..3 {
        running.extend(system.start_all(&Role::CHECKOUT).await?);
    }
    Ok(running)
}

/// Everything that was on hand is somewhere, once; what is still reserved is nothing.
async fn is_conserved(system: &System, shipped: &BTreeMap<&str, u64>) -> anyhow::Result<()> {
    for (sku, shipped) in shipped {
        let product = system.product(sku).await?;
        let (on_hand, reserved) = (product.on_hand, product.reserved);
        anyhow::ensure!(
            (on_hand, reserved, product.shipped) == (1_000 - shipped, 0, *shipped),
            "{sku}: {product:?}, but {shipped} were sold"
        );
    }
    Ok(())
}

#[tokio::test]
async fn three_replicas_of_each_worker_end_each_order_once() {
    let system = System::bare().await.unwrap();
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 1_000).await.unwrap();
    }
    let replicas = crew(&system).await.unwrap();
    let orders: Vec<_> = (0..ORDERS).map(placed).collect();
    // Each is placed twice, by two clients at once.
    try_join_all(orders.iter().chain(&orders).map(|order| system.place(order)))
        .await
        .unwrap();

    let ids: Vec<_> = (0..ORDERS).map(|n| format!("ORD-{n}")).collect();
    for id in &ids {
        system.until_final(id).await.unwrap();
    }
    system.until_idle().await.unwrap();
    let refused = (0..ORDERS).filter(|n| n % 10 == 5).count();
    assert_eq!(audit(&system, &ids).await.unwrap(), ORDERS - refused);
    let sold = (ORDERS - refused) as u64;
    is_conserved(
        &system,
        &BTreeMap::from([("PROD-A1", 2 * sold), ("PROD-B2", sold)]),
    )
    .await
    .unwrap();
    assert!(system.letters.list().await.unwrap().is_empty());
    let books = system.provider.books().await.unwrap();
    assert_eq!(books.charges - books.refunds, sold);

    let busy = |worker: &&Running| worker.nats.metrics.appends.get() > 0;
    assert!(replicas.iter().filter(busy).count() >= 8, "the work is shared");
}
