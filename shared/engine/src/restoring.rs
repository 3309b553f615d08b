use std::fmt;

use async_nats::jetstream::{self, ErrorCode, context::GetStreamErrorKind};
use tokio::time::{Instant, sleep};

use crate::{
    nats::{LOOK_AGAIN, REQUEST_TIMEOUT},
    subject::RESTORE,
};

/// A restore that was begun on a server and is not complete. It says so by a stream without messages,
/// [`RESTORE`](crate::subject::RESTORE), which it makes first of all and deletes last of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restoring {
    /// When the backup was taken, as its manifest says.
    pub taken_at: String,
}

impl Restoring {
    /// Where the mark says when the backup was taken: a key of the stream's metadata.
    pub const TAKEN_AT: &'static str = "jetsaga-backup-taken-at";

    /// The restore whose mark is on the server. Asks once; again only while nobody can tell.
    ///
    /// # Errors
    /// When nobody can tell for ten seconds.
    pub(crate) async fn found(jetstream: &jetstream::Context) -> Result<Option<Self>, String> {
        let limit = Instant::now() + 2 * REQUEST_TIMEOUT;
        loop {
            let error = match jetstream.get_stream(RESTORE).await {
                Ok(mark) => {
                    let said = mark.cached_info().config.metadata.get(Self::TAKEN_AT);
                    let taken_at = said.map_or_else(|| "an unknown time".to_owned(), Clone::clone);
                    return Ok(Some(Self { taken_at }));
                }
                Err(error) => error,
            };
            match error.kind() {
                GetStreamErrorKind::JetStream(why) if why.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    return Ok(None);
                }
                _ if Instant::now() > limit => {
                    return Err(format!("whether a restore is under way cannot be told: {error}"));
                }
                _ => sleep(LOOK_AGAIN).await,
            }
        }
    }
}

impl fmt::Display for Restoring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the restore of the backup of {} is not complete, so that streams and what was accepted may be missing (its \
             stream {RESTORE} is there); wait for it, and if it has ended, repeat the same `jetsaga restore`: it goes on where \
             it was. To give it up, take an empty server",
            self.taken_at
        )
    }
}
