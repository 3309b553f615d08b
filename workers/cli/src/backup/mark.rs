use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use jetsaga::{Nats, engine::Restoring, subject::RESTORE};
use serde_json::{Value, json};

use super::{api, manifest::Manifest};

/// What a restore leaves on the server as long as it is not complete: the stream [`RESTORE`], which holds no message. Its
/// metadata say which backup it is, so that nothing but the same restore goes on there.
pub(super) struct Mark {
    metadata: BTreeMap<&'static str, String>,
}

/// The digest of the backup's manifest.
const BACKUP: &str = "jetsaga-backup-sha256";
/// What the restore was told of replicas.
const REPLICAS: &str = "jetsaga-restore-replicas";
const AS_TAKEN: &str = "as taken";

impl Mark {
    pub(super) fn of(manifest: &Manifest, replicas: Option<usize>) -> Self {
        let replicas = replicas.map_or_else(|| AS_TAKEN.to_owned(), |replicas| replicas.to_string());
        Self {
            metadata: BTreeMap::from([
                (BACKUP, manifest.sha256.clone()),
                (Restoring::TAKEN_AT, manifest.taken_at.to_string()),
                (REPLICAS, replicas),
            ]),
        }
    }

    /// Whether it is there: what to go on with. Changes nothing.
    ///
    /// # Errors
    /// When another restore was begun there.
    pub(super) async fn is_set(&self, nats: &Nats) -> anyhow::Result<bool> {
        let Some(found) = api::info(nats, RESTORE).await? else {
            return Ok(false);
        };
        let found = |key: &str| {
            found["config"]["metadata"][key]
                .as_str()
                .unwrap_or("nothing")
                .to_owned()
        };
        let (backup, taken_at, replicas) = (found(BACKUP), found(Restoring::TAKEN_AT), found(REPLICAS));
        ensure!(
            self.metadata.get(BACKUP) == Some(&backup),
            "the restore of another backup, of {taken_at} (its manifest's SHA-256 is {backup}), was begun on this server and is \
             not complete; repeat that one, or take an empty server. Nothing was changed"
        );
        let flag = match replicas.as_str() {
            AS_TAKEN => "without --replicas".to_owned(),
            replicas => format!("with --replicas {replicas}"),
        };
        ensure!(
            self.metadata.get(REPLICAS) == Some(&replicas),
            "this restore was begun {flag}; repeat it so. Nothing was changed"
        );
        Ok(true)
    }

    /// Sets it, as lasting as streams with so many replicas are. A server that has another one refuses.
    pub(super) async fn set(&self, nats: &Nats, replicas: &Value) -> anyhow::Result<()> {
        let wish = json!({
            "name": RESTORE,
            "description": "A restore is not complete here. It deletes this when it is.",
            "retention": "limits",
            "storage": "file",
            "num_replicas": replicas,
            "metadata": self.metadata,
        });
        let set = api::placed(nats, &format!("STREAM.CREATE.{RESTORE}"), &wish).await;
        set.map(drop)
            .context("the restore is not begun, for it cannot be marked as such")
    }

    /// Takes it away.
    pub(super) async fn clear(nats: &Nats) -> anyhow::Result<()> {
        let cleared = api::gone(nats, RESTORE).await;
        cleared.with_context(|| {
            format!("everything is restored, but stream {RESTORE}, which says that not, is still there")
        })
    }
}
