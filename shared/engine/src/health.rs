use std::{pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::Nats;

/// What the text of `/metrics` is.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How long the server may take to answer before the worker is not ready.
const ANSWER: Duration = Duration::from_secs(1);

/// Connections at once: a handful of probes and scrapers, and not every file that the process may have open.
const CONNECTIONS: usize = 64;
/// How long a client may take to ask, or to ask again.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may last.
const LASTS: Duration = Duration::from_secs(300);
/// How long no connection is taken after one could not be.
const PAUSE: Duration = Duration::from_millis(50);

/// What the probes ask.
struct Probes {
    nats: Nats,
    stop: watch::Receiver<bool>,
}

/// Serves `/livez` (the process runs), `/readyz` (it is connected, takes work from every consumer and every service serves;
/// 503 while it does not, and from `stop` on) and `/metrics` (OpenMetrics text), until it is dropped: a drain can be watched
/// to its end.
pub(crate) async fn serve(listener: TcpListener, nats: Nats, stop: watch::Receiver<bool>) {
    let router = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route(
            "/metrics",
            get(|State(probes): State<Arc<Probes>>| async move {
                ([(CONTENT_TYPE, OPEN_METRICS)], probes.nats.metrics.text())
            }),
        )
        .with_state(Arc::new(Probes { nats, stop }));
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let slot = slots.clone().acquire_owned().await;
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let attending = attend(stream, router.clone());
                connections.spawn(async move {
                    let _ = timeout(LASTS, attending).await; // whoever asks on and on connects again
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the probes was not taken");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn attend(stream: TcpStream, router: Router) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = pin!(connection).await {
        tracing::debug!(%error, "a connection to the probes ended early");
    }
}

async fn ready(State(probes): State<Arc<Probes>>) -> (StatusCode, &'static str) {
    if *probes.stop.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n");
    }
    if probes.nats.client.connection_state() != async_nats::connection::State::Connected {
        return (StatusCode::SERVICE_UNAVAILABLE, "not connected to nats\n");
    }
    // A server that hangs keeps its connections: only an answer tells.
    let answer = timeout(ANSWER, probes.nats.jetstream.query_account()).await;
    if !matches!(answer, Ok(Ok(_))) {
        return (StatusCode::SERVICE_UNAVAILABLE, "jetstream does not answer\n");
    }
    let metrics = &probes.nats.metrics;
    if metrics.consumers_working.get() < metrics.consumers.get() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "no messages come from a consumer\n",
        );
    }
    if metrics.services_working.get() < metrics.services.get() {
        return (StatusCode::SERVICE_UNAVAILABLE, "a service does not serve\n");
    }
    (StatusCode::OK, "ready\n")
}
