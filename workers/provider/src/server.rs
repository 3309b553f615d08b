use std::future::{Future, IntoFuture};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::api::App;
use crate::desk::Desk;
use crate::failures::Failures;
use crate::ledger::Ledger;
use crate::wire::{Cut, Wires};

/// How a provider runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The ledger file; created if need be, in a directory which exists.
    pub ledger: PathBuf,
    /// Whether each line is on the disk (`fdatasync`) before it is answered.
    /// Without, it has been given to the operating system: the end of the process
    /// loses nothing, the end of the machine may. With it, every commit blocks a
    /// thread for the time of one disk write, one commit at a time.
    pub fsync: bool,
    /// What goes wrong by chance, until `POST /v1/admin/failures` changes it.
    pub failures: Failures,
    /// How long a request waits for another one under its key before it is
    /// answered 409 `key_in_flight`.
    pub patience: Duration,
    /// How long requests which were taken may run on after the shutdown.
    pub drain: Duration,
}

impl Config {
    /// A provider without failures and without fsync, which waits 30 seconds for a
    /// request under the same key and 10 seconds for requests at shutdown.
    pub fn new(ledger: impl Into<PathBuf>) -> Self {
        Self {
            ledger: ledger.into(),
            fsync: false,
            failures: Failures::default(),
            patience: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

/// Serves on `listener` until `shutdown` completes, then takes no further request
/// and lets those it has taken finish, for at most [`Config::drain`]. When this
/// returns, the ledger file is closed and nothing is committed any more; requests
/// which are still running after the drain (a warning says so) fail.
///
/// # Errors
/// Before anything is served: a wrong setting, or a ledger which cannot be opened
/// or has a corrupt line.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    config.failures.check()?;
    let (ledger, book) = Ledger::open(&config.ledger, config.fsync)?;
    let desk = Arc::new(Desk::new(ledger, book));
    let router = App::new(Arc::clone(&desk), config.failures, config.patience).router();
    let service = router.into_make_service_with_connect_info::<Cut>();
    tracing::info!(address = %listener.local_addr()?, ledger = %config.ledger.display(), "listening");

    let (stop, stopping) = oneshot::channel();
    let signal = async move {
        shutdown.await;
        // No receiver is left only if serving has ended already.
        let _ = stop.send(());
    };
    let serving = axum::serve(Wires(listener), service)
        .with_graceful_shutdown(signal)
        .into_future();
    let drained = async {
        let served = serving.await;
        desk.all_landed().await;
        served
    };
    let ended = tokio::select! {
        served = drained => served,
        () = bound(stopping, config.drain) => {
            tracing::warn!(drain = ?config.drain, "requests were still running after the drain: given up");
            Ok(())
        }
    };
    desk.close();
    tracing::info!("stopped");
    Ok(ended?)
}

/// Completes `drain` after the shutdown.
async fn bound(stopping: oneshot::Receiver<()>, drain: Duration) {
    match stopping.await {
        Ok(()) => sleep(drain).await,
        Err(_) => std::future::pending().await,
    }
}
