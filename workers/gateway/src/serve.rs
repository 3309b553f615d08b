use std::{future::Future, pin::pin, sync::Arc};

use anyhow::Context as _;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use jetsaga::{Nats, Worker, anyhow};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Duration, sleep, timeout},
};

use crate::{
    app::{Gateway, stopped},
    args::{Args, Config},
    counters::OneMore,
    rights,
    wire::Wire,
};

/// The gateway as a worker: serves as [`serve`] does, on the address of its flags, and is ready while it does.
///
/// # Errors
/// When the flags contradict each other.
pub async fn worker(args: Args, _: Nats) -> anyhow::Result<Worker> {
    let config = args.config()?;
    let listen = args.gateway_listen;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("GATEWAY_LISTEN {listen} cannot be listened on; name a free port of this machine")
    })?;
    Ok(serving(listener, config))
}

/// The same on a listener that is there already.
pub fn serving(listener: TcpListener, config: Config) -> Worker {
    let service = async move |nats: Nats, mut stop: watch::Receiver<bool>| {
        let shutdown = async move {
            stopped(&mut stop).await;
        };
        serve(listener, nats, config, shutdown).await
    };
    rights::declared().service("gateway", service)
}

/// Serves HTTP on `listener` until `shutdown` completes. Then no connection is taken any more, live streams end, and
/// requests that were taken are answered, within [`Config::drain`].
///
/// # Errors
/// Before anything is served: when the file of keys is wrong, or NATS does not answer.
pub async fn serve(
    listener: TcpListener,
    nats: Nats,
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let (stopping, stop) = watch::channel(false);
    let serving = nats.metrics.clone();
    let app = Gateway::new(nats, config, stop.clone()).await?;
    let following = tokio::spawn(app.keys.clone().follow());
    tracing::info!(address = %listener.local_addr()?, "the gateway listens");
    let _serving = serving.serving();
    let router = app.clone().router();
    let slots = Arc::new(Semaphore::new(app.config.connections));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let taken = async {
            let slot = slots.clone().acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            taken = taken => taken,
            () = &mut shutdown => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let attending = attend(stream, router.clone(), app.config.clone(), stop.clone());
                let open = OneMore::of(&app.counters.connections);
                connections.spawn(async move {
                    attending.await;
                    drop((slot, open));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not taken");
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    stopping.send_replace(true);
    following.abort();
    let drained = timeout(app.config.drain, async {
        while connections.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        tracing::warn!(
            left = connections.len(),
            "requests were still running after the drain: given up"
        );
    }
    Ok(())
}

/// How long no connection is taken after one could not be: the process is out of files, most likely.
const PAUSE: Duration = Duration::from_millis(50);
/// What the parser takes at most: above these it answers before we see the request.
const PARSED_HEADERS: usize = 256;
const PARSED_BYTES: usize = 64 * 1024;

/// One connection, until it or the gateway ends.
async fn attend(stream: TcpStream, router: Router, config: Config, mut stop: watch::Receiver<bool>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let service = TowerToHyperService::new(router);
    let wire = TokioIo::new(Wire::new(stream, config.write_limit));
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_limit)
        .max_headers(PARSED_HEADERS)
        .max_buf_size(PARSED_BYTES);
    let mut connection = pin!(server.serve_connection(wire, service));
    let served = tokio::select! {
        served = &mut connection => served,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}
