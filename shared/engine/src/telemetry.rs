//! Logs on standard error, and what goes out by OTLP.

mod args;
#[cfg(feature = "otlp-grpc")]
mod grpc;
mod headers;
pub(crate) mod logs;
mod openmetrics;
mod otlp;
mod spans;

use std::io::IsTerminal as _;

use anyhow::Context as _;
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkError,
    trace::{IdGenerator as _, RandomIdGenerator, Sampler, SdkTracerProvider},
};
use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{LevelFilter, filter_fn},
    fmt::{self, format::JsonFields},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

pub use args::{MetricsExporter, OtlpArgs, Protocol, unset_where_empty};
pub use headers::OtlpHeaders;

use crate::{
    EngineArgs, LogFormat, Metrics,
    trace::{self, SPANS},
    use_ring,
};
use logs::WithIds;
use otlp::Telling;

/// The logs, and what goes out by OTLP, if it goes anywhere. Dropping it sends what is still held back.
#[derive(Debug)]
#[must_use = "traces are sent until it is dropped"]
pub struct Telemetry {
    args: OtlpArgs,
    headers: OtlpHeaders,
    resource: Resource,
    traces: Option<SdkTracerProvider>,
    /// Spans that were not sent.
    dropped: Counter,
    /// What gRPC runs on.
    #[cfg(feature = "otlp-grpc")]
    _runtime: Option<tokio::runtime::Runtime>,
}

/// Metrics that go out by OTLP until this is ended.
#[derive(Debug)]
#[must_use = "end it to have the last values sent"]
pub struct Export(Option<Telling>);

/// Starts structured logs on standard error, and traces to `--otlp-endpoint` if it is given, under the name `service`.
/// Call it once, first; a second call changes nothing. Spans that cannot be sent are dropped and counted: the exporter
/// has a thread and a bounded queue of its own, and never holds a worker up.
///
/// Every line that is logged while a message is in hand carries `saga`, `saga_id` and `trace_id`.
///
/// # Errors
/// When the exporter cannot be made.
pub fn start(args: &EngineArgs, service: &'static str) -> anyhow::Result<Telemetry> {
    use_ring();
    let telemetry = Telemetry::new(args.otlp.clone(), service)?;
    let layer = fmt::layer().with_writer(std::io::stderr);
    let log = match args.log_format {
        LogFormat::Text => {
            let format = fmt::format().with_ansi(std::io::stderr().is_terminal());
            layer.event_format(WithIds { format, json: false }).boxed()
        }
        LogFormat::Json => {
            let format = fmt::format().json().flatten_event(true);
            layer
                .fmt_fields(JsonFields::new())
                .event_format(WithIds { format, json: true })
                .boxed()
        }
    };
    // Spans are for the traces: where those go nowhere, a span costs nothing.
    let log = log.with_filter(EnvFilter::new(format!("{},{SPANS}=off", args.log)));
    let spans = telemetry.traces.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("jetsaga"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_level(false)
            .with_context_activation(false);
        let ours = filter_fn(|metadata| metadata.target() == SPANS);
        layer.with_filter(ours.with_max_level_hint(LevelFilter::INFO))
    });
    let _ = tracing_subscriber::registry().with(spans).with(log).try_init(); // a second call changes nothing
    Ok(telemetry)
}

impl Telemetry {
    fn new(args: OtlpArgs, service: &'static str) -> anyhow::Result<Self> {
        let mut telemetry = Self {
            headers: args.all_headers()?,
            resource: resource(service),
            traces: None,
            dropped: Counter::default(),
            #[cfg(feature = "otlp-grpc")]
            _runtime: None,
            args,
        };
        let Some(endpoint) = &telemetry.args.endpoint else {
            return Ok(telemetry);
        };
        let exporter = match telemetry.args.protocol {
            Protocol::Http => over_http(endpoint, &telemetry.headers)?,
            #[cfg(feature = "otlp-grpc")]
            Protocol::Grpc => {
                let runtime = grpc::runtime()?;
                let _entered = runtime.enter();
                let exporter = grpc::spans(endpoint, &telemetry.headers)?;
                drop(_entered);
                telemetry._runtime = Some(runtime);
                exporter
            }
        };
        let batches = spans::batches(
            exporter,
            telemetry.args.trace_queue,
            telemetry.args.trace_delay,
            telemetry.dropped.clone(),
        );
        // What is not kept has no span: that was decided before.
        let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(batches)
            .with_sampler(sampler)
            .with_resource(telemetry.resource.clone())
            .build();
        trace::keep(telemetry.args.trace_sample, provider.tracer("jetsaga"));
        telemetry.traces = Some(provider);
        Ok(telemetry)
    }

    /// Sends the spans that are still held back, and takes no more. It blocks until they are sent, for five seconds at most.
    pub(crate) fn last_spans(&self) -> impl FnOnce() + Send + 'static {
        let (traces, dropped) = (self.traces.clone(), self.dropped.clone());
        move || match traces.map(|traces| traces.shutdown()) {
            None | Some(Ok(()) | Err(OTelSdkError::AlreadyShutdown)) => {}
            Some(Err(error)) => {
                tracing::warn!(%error, dropped = dropped.get(), "the last spans were not sent");
            }
        }
    }

    /// Has `metrics` show dropped spans, and sends them to `--otlp-endpoint` at every interval, unless `--otlp-metrics`
    /// is `none`. Call it where a runtime runs.
    ///
    /// # Errors
    /// When the exporter cannot be made.
    pub fn export(&self, metrics: &Metrics) -> anyhow::Result<Export> {
        metrics.extend(|registry| {
            registry.register("spans_dropped", "Spans that were not sent", self.dropped.clone());
        });
        let endpoint = self.args.endpoint.as_deref();
        let endpoint = endpoint.filter(|_| self.args.takes_metrics());
        let begin = |to: &str| {
            Telling::begin(
                &self.args,
                to,
                &self.headers,
                self.resource.clone(),
                metrics.clone(),
            )
        };
        Ok(Export(endpoint.map(begin).transpose()?))
    }
}

impl Export {
    /// Sends the metrics a last time, as they are now. Takes ten seconds at most: five for those that are on their way.
    pub async fn end(self) {
        if let Some(telling) = self.0 {
            telling.end().await;
        }
    }
}

/// Who sends: `service` unless `OTEL_SERVICE_NAME` says otherwise, in which version, and which of its replicas, unless
/// `OTEL_RESOURCE_ATTRIBUTES` says it.
fn resource(service: &'static str) -> Resource {
    let told = Resource::builder().build();
    let replica = RandomIdGenerator::default().new_trace_id().to_string();
    let ours = [
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", replica),
    ];
    let ours = ours.map(|(name, value)| KeyValue::new(name, value));
    let ours = ours.into_iter().filter(|it| told.get(&it.key).is_none());
    let named = std::env::var("OTEL_SERVICE_NAME").ok();
    let named = named.filter(|name| !name.is_empty());
    Resource::builder()
        .with_service_name(named.unwrap_or_else(|| service.to_owned()))
        .with_attributes(ours)
        .build()
}

fn over_http(endpoint: &str, headers: &OtlpHeaders) -> anyhow::Result<SpanExporter> {
    let url = format!("{endpoint}/v1/traces");
    let headers = headers.pairs();
    // The exporter's client blocks, and may not be made where a runtime runs.
    let made = std::thread::spawn(move || {
        SpanExporter::builder()
            .with_http()
            .with_endpoint(url)
            .with_headers(headers)
            .build()
    })
    .join();
    let exporter = made.map_err(|_| anyhow::anyhow!("the trace exporter's thread panicked"))?;
    exporter.context("traces cannot be exported")
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // Not here: a runtime may run in this thread, and the exporter blocks.
        let _ = std::thread::spawn(self.last_spans()).join(); // it has said what it could not send
    }
}
