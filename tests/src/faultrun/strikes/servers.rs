use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::time::sleep;

use super::processes::note;
use crate::faultrun::{nemesis::Done, persist::persist, site::Site, slot::Slot, target::Target};

/// How long an election may take.
const ELECTION: Duration = Duration::from_secs(15);

/// Kills a nats-server when all three are well, and starts it again.
pub(super) async fn killed(site: &Site, target: Target, lasts: Duration) -> Result<Done> {
    let _mine = site.nodes.lock().await;
    site.cluster.whole().await?;
    let leader = leader(site).await?;
    let node = match target {
        Target::Node(n) => n,
        _ => leader,
    };
    site.cluster.kill(node).await?;
    sleep(lasts).await;
    site.cluster.start_node(node).await?;
    site.cluster.whole().await?;
    Ok(Done {
        leader: node == leader,
        ..note(&format!("nats-{}", node + 1))
    })
}

/// Kills a worker and the leader of the journal while the inbox gets another leader, and starts both again.
pub(super) async fn together(site: &Site, worker: &Slot, lasts: Duration) -> Result<Done> {
    let _mine = site.nodes.lock().await;
    site.cluster.whole().await?;
    let node = leader(site).await?;
    let mut seat = worker.take().await;
    let (stepped, died, gone) = tokio::join!(
        site.api("STREAM.LEADER.STEPDOWN.INBOX", &Value::Null),
        worker.kill(&mut seat),
        site.cluster.kill(node),
    );
    died?;
    gone?;
    sleep(lasts).await;
    worker.start(&mut seat)?;
    drop(seat);
    site.cluster.start_node(node).await?;
    site.cluster.whole().await?;
    let stepped = if stepped.is_ok() { "" } else { " did not" };
    Ok(Done {
        leader: true,
        ..note(&format!("nats-{}; INBOX{stepped} stepped down", node + 1))
    })
}

/// Has a stream elect another leader.
pub(super) async fn stream_steps_down(site: &Site, name: &str) -> Result<Done> {
    step_down(site, &format!("STREAM.LEADER.STEPDOWN.{name}")).await
}

/// Has a consumer of the journal elect another leader.
pub(super) async fn consumer_steps_down(site: &Site, name: &str) -> Result<Done> {
    step_down(site, &format!("CONSUMER.LEADER.STEPDOWN.EVENTS.{name}")).await
}

async fn step_down(site: &Site, request: &str) -> Result<Done> {
    persist(request, ELECTION, || site.api(request, &Value::Null)).await?;
    Ok(Done::default())
}

/// The node that leads the journal.
async fn leader(site: &Site) -> Result<usize> {
    let info = persist("the journal has a leader", ELECTION, || async {
        let info = site.api("STREAM.INFO.EVENTS", &Value::Null).await?;
        let name = info["cluster"]["leader"].as_str().context("no leader")?;
        let number = name.rsplit('-').next().context("no number")?;
        Ok(number.parse::<usize>()?)
    });
    Ok(info.await?.saturating_sub(1))
}
