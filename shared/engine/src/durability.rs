//! What an acknowledged event survives, in words.

use std::{fmt, str::FromStr};

use anyhow::Context as _;
use serde::Deserialize;

use crate::{
    Nats,
    subject::{EVENTS, INBOX, KV_KEYS, KV_STATE, LETTERS, RETRY, SEEN, TIMERS},
};

/// A kind of accident that nothing acknowledged is lost in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survives {
    /// Any process dies, the server's included, and its disk is still there. Always the case: streams are kept on disk.
    ProcessCrash,
    /// A machine is lost with its disk: every stream has three replicas or more.
    NodeLoss,
    /// The power goes everywhere at once: every server writes through to its disk before it answers
    /// (`sync_interval: always`).
    PowerLoss,
}

/// What the servers are set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durability {
    /// The fewest replicas that one of the streams has.
    pub replicas: usize,
    /// Whether every server writes through before it answers; `None` if nobody was asked.
    pub writes_through: Option<bool>,
}

impl Durability {
    /// Reads the replicas of every stream from the server, and the policy of writing through from these monitoring
    /// addresses, such as `http://nats-0:8222`: a client's account is not told it.
    ///
    /// # Errors
    /// When a stream is missing, or a monitoring address gives no answer.
    pub async fn read(nats: &Nats, monitors: &[String]) -> anyhow::Result<Self> {
        let mut replicas = usize::MAX;
        for name in [EVENTS, KV_STATE, KV_KEYS, TIMERS, RETRY, INBOX, SEEN, LETTERS] {
            let stream = nats.jetstream.get_stream(name).await;
            let stream = stream.with_context(|| format!("stream {name}"))?;
            replicas = replicas.min(stream.cached_info().config.num_replicas);
        }
        let mut writes_through = None;
        for monitor in monitors {
            let said = ask(monitor).await.with_context(|| {
                format!(
                    "JETSAGA_NATS_MONITORS {monitor} does not answer like a nats-server's monitoring port"
                )
            })?;
            writes_through = Some(said && writes_through.unwrap_or(true));
        }
        Ok(Self {
            replicas,
            writes_through,
        })
    }

    /// True if this accident loses nothing that was acknowledged.
    pub fn survives(self, accident: Survives) -> bool {
        match accident {
            Survives::ProcessCrash => true,
            Survives::NodeLoss => self.replicas >= 3,
            Survives::PowerLoss => self.writes_through == Some(true),
        }
    }

    /// Whether all of these hold.
    ///
    /// # Errors
    /// Names the first that does not, why, and what would be right.
    pub fn require(self, accidents: &[Survives]) -> anyhow::Result<()> {
        let missing = accidents.iter().find(|accident| !self.survives(**accident));
        let Some(missing) = missing else {
            return Ok(());
        };
        let why = match (missing, self.writes_through) {
            (Survives::NodeLoss, _) => format!(
                "a stream has {} replicas; it takes 3: make them with --replicas 3 on a cluster of three",
                self.replicas
            ),
            (_, None) => "nobody was asked whether the servers write through; name the monitoring address of each with \
                          --nats-monitors"
                .to_owned(),
            _ => "a server does not write through before it answers; set its sync_interval to always".to_owned(),
        };
        anyhow::bail!("JETSAGA_REQUIRE_DURABILITY is {missing}, but {why}")
    }
}

/// The part of `/varz` that says when the server writes to its disk.
#[derive(Deserialize)]
struct Varz {
    jetstream: JetStream,
}

#[derive(Deserialize)]
struct JetStream {
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    sync_always: bool,
}

async fn ask(monitor: &str) -> anyhow::Result<bool> {
    let url = format!("{}/varz", monitor.trim_end_matches('/'));
    let answer = reqwest::Client::builder()
        .timeout(crate::nats::REQUEST_TIMEOUT)
        .build()?
        .get(url)
        .send()
        .await?
        .error_for_status()?;
    let varz: Varz = serde_json::from_slice(&answer.bytes().await?)?;
    Ok(varz.jetstream.config.sync_always)
}

impl FromStr for Survives {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "process-crash" => Ok(Self::ProcessCrash),
            "node-loss" => Ok(Self::NodeLoss),
            "power-loss" => Ok(Self::PowerLoss),
            _ => Err(format!(
                "JETSAGA_REQUIRE_DURABILITY is {text:?}; it takes process-crash, node-loss or power-loss, several with commas"
            )),
        }
    }
}

impl fmt::Display for Survives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ProcessCrash => "process-crash",
            Self::NodeLoss => "node-loss",
            Self::PowerLoss => "power-loss",
        })
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes = |holds| if holds { "yes" } else { "no" };
        write!(
            f,
            "process-crash safe: yes; node-loss safe: {} (replicas {}); power-loss safe: {}",
            yes(self.survives(Survives::NodeLoss)),
            self.replicas,
            match self.writes_through {
                None => "unknown (name the servers with --nats-monitors)",
                Some(writes) => yes(writes),
            }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_accident_has_its_own_condition() {
        let durability = |replicas, writes_through| Durability {
            replicas,
            writes_through,
        };
        let all = [Survives::ProcessCrash, Survives::NodeLoss, Survives::PowerLoss];
        let held = |it: Durability| all.map(|accident| it.survives(accident));
        assert_eq!(held(durability(1, None)), [true, false, false]);
        assert_eq!(held(durability(3, Some(false))), [true, true, false]);
        assert_eq!(held(durability(1, Some(true))), [true, false, true]);
        let why = |it: Durability| it.require(&all).map_err(|error| error.to_string());
        assert!(why(durability(1, Some(true))).unwrap_err().contains("it takes 3"));
        assert!(why(durability(3, None)).unwrap_err().contains("--nats-monitors"));
        assert!(
            why(durability(3, Some(false)))
                .unwrap_err()
                .contains("sync_interval")
        );
        assert!(why(durability(3, Some(true))).is_ok());
    }
}
