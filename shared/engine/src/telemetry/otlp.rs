//! Metrics by OTLP: the text of `/metrics`, in the shape that OTLP has for it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, exemplar, metric, number_data_point,
    },
    resource,
};
use opentelemetry_sdk::Resource;
use prost::Message as _;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use super::{
    OtlpHeaders,
    openmetrics::{self, Buckets, Labels, Values},
};
use crate::{Metrics, OtlpArgs, Protocol};

/// How long the receiver may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Metrics on their way, until it is ended.
#[derive(Debug)]
pub(super) struct Telling {
    stop: watch::Sender<bool>,
    told: JoinHandle<()>,
}

impl Telling {
    /// Sends `metrics` to where `args` says, at every interval.
    ///
    /// # Errors
    /// When there can be no client.
    pub(super) fn begin(
        args: &OtlpArgs,
        endpoint: &str,
        headers: &OtlpHeaders,
        resource: Resource,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let route = Route::new(args.protocol, endpoint, headers)?;
        let (stop, stopped) = watch::channel(false);
        let told = tokio::spawn(tell(route, resource, metrics, args.interval, stopped));
        Ok(Self { stop, told })
    }

    /// Sends them a last time, as they are now.
    pub(super) async fn end(self) {
        self.stop.send_replace(true);
        let _ = self.told.await; // it has said what it could not send
    }
}

async fn tell(
    route: Route,
    resource: Resource,
    metrics: Metrics,
    every: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let (begun, mut failing) = (SystemTime::now(), false);
    loop {
        let is_last = timeout(every, stop.wait_for(|stop| *stop)).await.is_ok();
        let request = request(&resource, &metrics.text(), begun, SystemTime::now());
        let sent = match timeout(PATIENCE, route.send(request)).await {
            Ok(sent) => sent,
            Err(_) => Err(anyhow::anyhow!("no answer within {PATIENCE:?}")),
        };
        match &sent {
            Ok(()) if failing => tracing::info!("metrics are taken again"),
            Err(error) if !failing => tracing::warn!("metrics are not taken by OTLP: {error:#}"),
            _ => {}
        }
        failing = sent.is_err();
        if is_last {
            return;
        }
    }
}

enum Route {
    Http(reqwest::Client, String),
    #[cfg(feature = "otlp-grpc")]
    Grpc(Box<super::grpc::MetricsClient>),
}

impl Route {
    fn new(protocol: Protocol, endpoint: &str, headers: &OtlpHeaders) -> anyhow::Result<Self> {
        match protocol {
            Protocol::Http => {
                let client = reqwest::Client::builder().default_headers(headers.map().clone());
                let client = client.build().context("no HTTP client")?;
                Ok(Self::Http(client, format!("{endpoint}/v1/metrics")))
            }
            #[cfg(feature = "otlp-grpc")]
            Protocol::Grpc => Ok(Self::Grpc(Box::new(super::grpc::metrics(endpoint, headers)?))),
        }
    }

    async fn send(&self, request: ExportMetricsServiceRequest) -> anyhow::Result<()> {
        match self {
            Self::Http(client, url) => {
                let request = client
                    .post(url)
                    .header("Content-Type", "application/x-protobuf")
                    .body(request.encode_to_vec());
                let answer = request.send().await?;
                anyhow::ensure!(
                    answer.status().is_success(),
                    "the receiver answers {}",
                    answer.status()
                );
                Ok(())
            }
            #[cfg(feature = "otlp-grpc")]
            Self::Grpc(client) => super::grpc::send(client, request).await,
        }
    }
}

fn request(
    resource: &Resource,
    text: &str,
    begun: SystemTime,
    now: SystemTime,
) -> ExportMetricsServiceRequest {
    let times = Times {
        begun: nanos(begun),
        now: nanos(now),
    };
    let metrics = openmetrics::read(text);
    let metrics = metrics
        .into_iter()
        .filter_map(|metric| times.metric(metric))
        .collect();
    let attributes = resource
        .iter()
        .map(|(key, value)| attribute(key.as_str(), &value.as_str()));
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource::v1::Resource {
                attributes: attributes.collect(),
                ..resource::v1::Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(InstrumentationScope {
                    name: "jetsaga".to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    ..InstrumentationScope::default()
                }),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

/// When counting began, and when it was read, in nanoseconds since 1970.
#[derive(Clone, Copy)]
struct Times {
    begun: u64,
    now: u64,
}

impl Times {
    /// `None` if it has no values yet.
    fn metric(self, metric: openmetrics::Metric) -> Option<Metric> {
        let cumulative = i32::from(AggregationTemporality::Cumulative);
        let data = match metric.values {
            Values::Nothing => return None,
            Values::Gauge(values) => metric::Data::Gauge(Gauge {
                data_points: self.numbers(values),
            }),
            Values::Counter(values) => metric::Data::Sum(Sum {
                data_points: self.numbers(values),
                aggregation_temporality: cumulative,
                is_monotonic: true,
            }),
            Values::Histogram(values) => metric::Data::Histogram(Histogram {
                data_points: values
                    .into_iter()
                    .map(|(labels, buckets)| self.histogram(&labels, buckets))
                    .collect(),
                aggregation_temporality: cumulative,
            }),
        };
        Some(Metric {
            name: metric.name,
            description: metric.help,
            data: Some(data),
            ..Metric::default()
        })
    }

    fn numbers(self, values: Vec<(Labels, f64)>) -> Vec<NumberDataPoint> {
        let values = values.into_iter().map(|(labels, value)| NumberDataPoint {
            attributes: attributes(&labels),
            start_time_unix_nano: self.begun,
            time_unix_nano: self.now,
            value: Some(number_data_point::Value::AsDouble(value)),
            ..NumberDataPoint::default()
        });
        values.collect()
    }

    /// OTLP counts what is in each bucket; the text, what is in it and in every one before.
    fn histogram(self, labels: &Labels, buckets: Buckets) -> HistogramDataPoint {
        let mut before = 0;
        let counts = buckets.under.iter().map(|(_, under)| {
            let inside = under.saturating_sub(before);
            before = *under;
            inside
        });
        HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: self.begun,
            time_unix_nano: self.now,
            count: buckets.count,
            sum: Some(buckets.sum),
            bucket_counts: counts.collect(),
            explicit_bounds: buckets
                .under
                .iter()
                .map(|(bound, _)| *bound)
                .filter(|bound| bound.is_finite())
                .collect(),
            exemplars: buckets.exemplars.iter().map(exemplar).collect(),
            ..HistogramDataPoint::default()
        }
    }
}

fn exemplar((labels, value, at): &(Labels, f64, f64)) -> Exemplar {
    Exemplar {
        time_unix_nano: nanos(UNIX_EPOCH + Duration::try_from_secs_f64(*at).unwrap_or_default()),
        trace_id: labels
            .get("trace_id")
            .and_then(|id| bytes(id))
            .unwrap_or_default(),
        value: Some(exemplar::Value::AsDouble(*value)),
        ..Exemplar::default()
    }
}

/// The bytes that hexadecimal digits stand for.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    Some(
        digits?
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    labels
        .iter()
        .map(|(name, value)| attribute(name, value))
        .collect()
}

fn attribute(name: &str, value: &str) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
