use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// What the gateway counts. The labels are bounded: routes are templates, methods the known ones.
#[derive(Clone)]
pub(crate) struct Counters {
    requests: Family<ByAnswer, Counter>,
    seconds: Family<ByRoute, Histogram>,
    /// Requests that are being answered.
    pub(crate) in_flight: Gauge,
    /// Live streams that are open.
    pub(crate) streams: Gauge,
    /// Connections that are open.
    pub(crate) connections: Gauge,
}

/// Counts one more for as long as it is kept.
pub(crate) struct OneMore(Gauge);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAnswer {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    method: &'static str,
    route: String,
}

/// The bounds of the histogram, in seconds.
const BOUNDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BOUNDS)),
            in_flight: Gauge::default(),
            streams: Gauge::default(),
            connections: Gauge::default(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register(
            "http_request_seconds",
            "Time until the answer began",
            self.seconds.clone(),
        );
        registry.register(
            "http_in_flight",
            "Requests being answered",
            self.in_flight.clone(),
        );
        registry.register("http_streams", "Live streams open", self.streams.clone());
        registry.register("http_connections", "Connections open", self.connections.clone());
    }

    pub(crate) fn answered(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        let by = ByRoute {
            method,
            route: route.clone(),
        };
        self.seconds.get_or_create(&by).observe(took.as_secs_f64());
        self.requests
            .get_or_create(&ByAnswer {
                method,
                route,
                status,
            })
            .inc();
    }
}

impl OneMore {
    pub(crate) fn of(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for OneMore {
    fn drop(&mut self) {
        self.0.dec();
    }
}
