use std::io::IsTerminal as _;

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{EngineArgs, LogFormat, trace::SPANS};

/// The logs, and the traces if they go anywhere. Dropping it sends what is still held back.
#[derive(Debug)]
#[must_use = "traces are sent until it is dropped"]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// Starts structured logs on standard error, and traces to `--otlp-endpoint` if it is given, under the name `service`.
/// Call it once, first; a second call changes nothing. Spans that cannot be sent are dropped: the exporter has a thread
/// and a bounded queue of its own, and never holds a worker up.
///
/// # Errors
/// When the exporter cannot be made.
pub fn start(args: &EngineArgs, service: &'static str) -> anyhow::Result<Telemetry> {
    let log = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let log = match args.log_format {
        LogFormat::Text => log.boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    // Spans are for the traces: where those go nowhere, a span costs nothing.
    let log = log.with_filter(EnvFilter::new(format!("{},{SPANS}=off", args.log)));
    let traces = match &args.otlp_endpoint {
        Some(endpoint) => Some(exporting(endpoint, args.trace_sample, service)?),
        None => None,
    };
    let spans = traces.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("jetsaga"));
        layer.with_filter(filter_fn(|metadata| metadata.target() == SPANS))
    });
    let _ = tracing_subscriber::registry().with(spans).with(log).try_init(); // a second call changes nothing
    Ok(Telemetry { traces })
}

fn exporting(endpoint: &str, sample: f64, service: &'static str) -> anyhow::Result<SdkTracerProvider> {
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    // The exporter's client blocks, and may not be made where a runtime runs.
    let made = std::thread::spawn(move || {
        opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(url)
            .build()
    });
    let exporter = made
        .join()
        .map_err(|_| anyhow::anyhow!("the trace exporter's thread panicked"))?;
    let exporter = exporter.context("traces cannot be exported")?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sample)));
    let resource = Resource::builder().with_service_name(service).build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler)
        .with_resource(resource)
        .build())
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let Some(traces) = self.traces.take() else { return };
        // It blocks until the last spans are sent or given up.
        let ended = std::thread::spawn(move || traces.shutdown()).join();
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}
