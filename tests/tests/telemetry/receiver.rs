//! An OTLP receiver that keeps what it gets.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http,
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value},
    metrics::v1::Metric,
    resource::v1::Resource,
    trace::v1::status::StatusCode,
};
use prost::Message as _;
use tokio::net::TcpListener;

/// A span as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) service: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) kind: i32,
    pub(crate) is_error: bool,
    pub(crate) links: Vec<String>,
    pub(crate) attributes: Attributes,
}

pub(crate) type Attributes = BTreeMap<String, String>;

/// Receives spans and metrics, and keeps the spans and the latest metrics of every service.
pub(crate) struct Receiver {
    pub(crate) url: String,
    kept: Kept,
}

#[derive(Clone, Default)]
struct Kept {
    spans: Arc<Mutex<Vec<Span>>>,
    metrics: Arc<Mutex<BTreeMap<String, Vec<Metric>>>>,
}

impl Receiver {
    pub(crate) async fn start() -> Result<Self> {
        Self::start_for(None).await
    }

    /// One that takes nothing without this header.
    pub(crate) async fn start_for(header: Option<(&'static str, &'static str)>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let kept = Kept::default();
        let app = Router::new()
            .route("/v1/traces", post(spans))
            .route("/v1/metrics", post(metrics))
            .layer(from_fn(move |request, next| only_with(header, request, next)))
            .with_state(kept.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, kept })
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let spans = self.kept.spans.lock();
        spans.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The latest metrics of this service.
    pub(crate) fn metrics(&self, service: &str) -> Vec<Metric> {
        let metrics = self.kept.metrics.lock();
        let metrics = metrics.unwrap_or_else(PoisonError::into_inner);
        metrics.get(service).cloned().unwrap_or_default()
    }
}

async fn only_with(header: Option<(&str, &str)>, request: Request, next: Next) -> Response {
    match header {
        Some((name, value)) if request.headers().get(name).is_none_or(|given| given != value) => {
            http::StatusCode::UNAUTHORIZED.into_response()
        }
        _ => next.run(request).await,
    }
}

async fn spans(State(kept): State<Kept>, body: Bytes) -> http::StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return http::StatusCode::BAD_REQUEST;
    };
    let mut all = kept.spans.lock().unwrap_or_else(PoisonError::into_inner);
    for resource in request.resource_spans {
        let service = service(resource.resource);
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            all.push(Span {
                service: service.clone(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name,
                kind: span.kind,
                is_error: span
                    .status
                    .is_some_and(|status| status.code() == StatusCode::Error),
                links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
                attributes: attributes(span.attributes),
            });
        }
    }
    http::StatusCode::OK
}

async fn metrics(State(kept): State<Kept>, body: Bytes) -> http::StatusCode {
    let Ok(request) = ExportMetricsServiceRequest::decode(body) else {
        return http::StatusCode::BAD_REQUEST;
    };
    let mut all = kept.metrics.lock().unwrap_or_else(PoisonError::into_inner);
    for resource in request.resource_metrics {
        let metrics = resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
        all.insert(service(resource.resource), metrics.collect());
    }
    http::StatusCode::OK
}

fn service(resource: Option<Resource>) -> String {
    let about = resource.map(|r| attributes(r.attributes)).unwrap_or_default();
    about.get("service.name").cloned().unwrap_or_default()
}

pub(crate) fn attributes(all: Vec<KeyValue>) -> Attributes {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(n)) => n.to_string(),
        Some(any_value::Value::BoolValue(b)) => b.to_string(),
        _ => String::new(),
    };
    all.into_iter().map(|it| (it.key, text(it.value))).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
