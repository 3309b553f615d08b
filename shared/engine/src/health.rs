use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use tokio::{net::TcpListener, sync::watch, time::timeout};

use crate::Nats;

/// What the text of `/metrics` is.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How long the server may take to answer before the worker is not ready.
const ANSWER: Duration = Duration::from_secs(1);

/// What the probes ask.
struct Probes {
    nats: Nats,
    stop: watch::Receiver<bool>,
}

/// Serves `/livez` (the process runs), `/readyz` (it is connected, takes work from every consumer and every service serves; 503 while it does
/// not, and while it drains) and
/// `/metrics` (Prometheus text) until `stop`.
pub(crate) async fn serve(
    listener: TcpListener,
    nats: Nats,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let probes = Arc::new(Probes {
        nats,
        stop: stop.clone(),
    });
    let app = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route(
            "/metrics",
            get(|State(probes): State<Arc<Probes>>| async move {
                ([(CONTENT_TYPE, OPEN_METRICS)], probes.nats.metrics.text())
            }),
        )
        .with_state(probes);
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await; // a dropped sender stops as well
    };
    axum::serve(listener, app).with_graceful_shutdown(stopped).await
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
