//! OTLP over gRPC.

use anyhow::Context as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient,
};
use tonic::{
    Request,
    metadata::MetadataMap,
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use super::OtlpHeaders;

/// Sends metrics to one place.
pub(super) struct MetricsClient {
    client: MetricsServiceClient<Channel>,
    headers: MetadataMap,
}

/// A runtime for the exporter, whose batches leave from a thread that has none.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("otlp")
        .enable_all()
        .build()
        .context("no runtime for gRPC")
}

/// Sends spans to `endpoint`. To be called, and used, where a runtime runs.
pub(super) fn spans(endpoint: &str, headers: &OtlpHeaders) -> anyhow::Result<SpanExporter> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_metadata(metadata(headers))
        .build();
    exporter.context("traces cannot be exported over gRPC")
}

/// Sends metrics to `endpoint`; it connects when the first are sent.
pub(super) fn metrics(endpoint: &str, headers: &OtlpHeaders) -> anyhow::Result<MetricsClient> {
    let mut channel =
        Endpoint::from_shared(endpoint.to_owned()).context("metrics cannot be exported over gRPC")?;
    if endpoint.starts_with("https://") {
        channel = channel
            .tls_config(ClientTlsConfig::new().with_native_roots())
            .context("metrics cannot be exported over TLS")?;
    }
    Ok(MetricsClient {
        client: MetricsServiceClient::new(channel.connect_lazy()),
        headers: metadata(headers),
    })
}

pub(super) async fn send(to: &MetricsClient, metrics: ExportMetricsServiceRequest) -> anyhow::Result<()> {
    let mut request = Request::new(metrics);
    *request.metadata_mut() = to.headers.clone();
    to.client.clone().export(request).await?;
    Ok(())
}

fn metadata(headers: &OtlpHeaders) -> MetadataMap {
    MetadataMap::from_headers(headers.map().clone())
}
