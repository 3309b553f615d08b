use jetsaga::{Nats, Topology};
use projector::bench::BenchArgs;

use crate::NatsServer;

/// A page of a list takes no longer than this, ninety-nine times in a hundred; in milliseconds.
const LIST: f64 = 20.0;
/// A rebuild reads and applies as many events a second, at least.
const REBUILD: f64 = 20_000.0;

/// Measures the read models on a nats-server and databases of their own: the JSON document, and what is not as it has to
/// be.
pub(super) async fn measure(args: &BenchArgs) -> anyhow::Result<(String, Vec<String>)> {
    let dir = tempfile::tempdir()?;
    let server = NatsServer::start(&dir.path().join("nats"), 0).await?;
    let nats = Nats::connect(&server.url(), "bench").await?;
    Topology::new(1).ensure(&nats).await?;
    let database = |name: &str| format!("sqlite:{}", dir.path().join(name).display());
    let report = projector::bench::run(&nats, &database("lists.db"), &database("rebuilt.db"), args).await?;
    server.stop().await?;
    let mut failures = Vec::new();
    let (list, rebuild) = (report.lists.worst_p99_ms, report.rebuild.events_per_second);
    if list > LIST {
        failures.push(format!("the p99 of a list is {list} ms; it takes at most {LIST}"));
    }
    if rebuild < REBUILD {
        failures.push(format!(
            "a rebuild applies {rebuild} events a second; it takes at least {REBUILD}"
        ));
    }
    Ok((serde_json::to_string_pretty(&report)?, failures))
}
