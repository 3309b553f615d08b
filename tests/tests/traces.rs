//! One trace for each saga, across processes, restarts and redeliveries: every span that an OTLP receiver gets has its
//! parent, and a join names both of its causes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use async_nats::HeaderMap;
use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use jetsaga_tests::harness::{Process, System, jetsaga, order_with, signal, until};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value},
    trace::v1::span::SpanKind,
};
use prost::Message as _;
use serde_json::json;
use tokio::net::TcpListener;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PLACER: &str = "00f067aa0ba902b7";

/// A span as it was received.
#[derive(Clone, Debug)]
struct Span {
    service: String,
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: i32,
    links: Vec<String>,
    attributes: BTreeMap<String, String>,
}

/// Receives spans, and keeps them.
struct Receiver {
    url: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Receiver {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let spans = Arc::new(Mutex::new(Vec::new()));
        let app = Router::new()
            .route("/v1/traces", post(receive))
            .with_state(spans.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, spans })
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn receive(State(spans): State<Arc<Mutex<Vec<Span>>>>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let mut all = spans.lock().unwrap_or_else(PoisonError::into_inner);
    for resource in request.resource_spans {
        let about = resource
            .resource
            .map(|r| attributes(r.attributes))
            .unwrap_or_default();
        let service = about.get("service.name").cloned().unwrap_or_default();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            all.push(Span {
                service: service.clone(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name,
                kind: span.kind,
                links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
                attributes: attributes(span.attributes),
            });
        }
    }
    StatusCode::OK
}

fn attributes(all: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(n)) => n.to_string(),
        Some(any_value::Value::BoolValue(b)) => b.to_string(),
        _ => String::new(),
    };
    all.into_iter().map(|it| (it.key, text(it.value))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The workers of a checkout as processes that export what they do.
struct Fleet<'a> {
    system: &'a System,
    receiver: &'a Receiver,
}

impl Fleet<'_> {
    async fn start(&self, worker: &str) -> Result<Process> {
        let mut command = jetsaga()?;
        command
            .args([
                "worker",
                worker,
                "--provision",
                "--nats-url",
                &self.system.server.url(),
            ])
            .args(["--otlp-endpoint", &self.receiver.url])
            .env("OTEL_BSP_SCHEDULE_DELAY", "100");
        match worker {
            "payment" => command.args(["--payment-provider-url", &self.system.provider.url]),
            "shipping" => command.args(["--shipping-refused-zips", "00000"]),
            _ => &mut command,
        };
        let process = Process::start(&mut command)?;
        process.until_said("working").await?;
        Ok(process)
    }
}

/// The spans of the trace, if every one has its parent and these are among them.
fn whole(receiver: &Receiver, expected: &[&str]) -> Option<Vec<Span>> {
    let spans: Vec<Span> = receiver
        .spans()
        .into_iter()
        .filter(|span| span.trace == TRACE)
        .collect();
    let ids: BTreeSet<&str> = spans
        .iter()
        .map(|span| span.id.as_str())
        .chain([PLACER])
        .collect();
    let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    let complete = spans.iter().all(|span| ids.contains(span.parent.as_str()))
        && expected.iter().all(|name| names.contains(name));
    complete.then_some(spans)
}

#[tokio::test]
async fn a_cancelled_checkout_is_one_trace_whoever_dies() {
    let system = System::bare().await.unwrap();
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 100).await.unwrap();
    }
    let receiver = Receiver::start().await.unwrap();
    let fleet = Fleet {
        system: &system,
        receiver: &receiver,
    };
    let _order = fleet.start("order").await.unwrap();
    let payment = fleet.start("payment").await.unwrap();
    let _inventory = fleet.start("inventory").await.unwrap();

    // The first payment worker dies in the middle of its call; what it held comes again to the second.
    system
        .provider
        .failures(json!({"delay_ms": 3_000, "delay_rate": 1.0}))
        .await
        .unwrap();
    let order = order_with("ORD-1", "/shippingAddress/zip", "00000");
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", format!("00-{TRACE}-{PLACER}-01"));
    system
        .publish_with("in.checkout.OrderCreated", headers, order.to_string())
        .await
        .unwrap();
    until("the charge is under way", async || {
        Ok((system.provider.books().await?.in_flight > 0).then_some(()))
    })
    .await
    .unwrap();
    signal("-KILL", &payment.id().unwrap().to_string()).await.unwrap();
    system
        .provider
        .failures(json!({"delay_rate": 0.0}))
        .await
        .unwrap();
    let _payment = fleet.start("payment").await.unwrap();
    let _shipping = fleet.start("shipping").await.unwrap();
    system.until_final("ORD-1").await.unwrap();

    let expected = [
        "process checkout-owner",
        "process checkout-payment",
        "process checkout-inventory",
        "process checkout-shipping",
        "run payment",
        "run inventory",
        "run shipping",
        "undo payment",
        "undo inventory",
    ];
    let spans = until("every span has its parent", async || {
        Ok(whole(&receiver, &expected))
    });
    let spans = spans.await;
    let Ok(spans) = spans else {
        panic!("{:#?}", receiver.spans());
    };
    let of = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    assert_eq!(
        services,
        BTreeSet::from(["inventory", "order", "payment", "shipping"])
    );
    for span in &spans {
        let kind = match span.name.split(' ').next() {
            Some("process") => SpanKind::Consumer,
            _ => SpanKind::Client,
        };
        assert_eq!(span.kind, kind as i32, "{span:?}");
    }

    let again = of("process checkout-payment");
    let again = again
        .iter()
        .filter(|span| span.attributes["jetsaga.redelivered"] == "true");
    assert!(again.count() >= 1, "the redelivery shows as one");

    let run = of("run shipping");
    assert_eq!(run.len(), 1, "a join fires once");
    let handled = spans.iter().find(|span| span.id == run[0].parent).unwrap();
    let cause = handled.parent.as_str();
    let [other] = handled.links.as_slice() else {
        panic!("a join has one cause besides its parent: {handled:?}");
    };
    let causes = [cause, other.as_str()].map(|id| {
        let span = spans.iter().find(|span| span.id == id).unwrap();
        span.name.clone()
    });
    assert_eq!(
        BTreeSet::from(causes),
        BTreeSet::from([
            "process checkout-inventory".to_owned(),
            "process checkout-payment".to_owned()
        ])
    );
    assert_eq!(run[0].attributes["jetsaga.outcome"], "refused");
    assert_eq!(of("undo payment")[0].attributes["jetsaga.saga.id"], "ORD-1");
}

/// Where traces go nowhere that answers, everything is done as if there were none.
#[tokio::test]
async fn trouble_with_the_exporter_stops_nobody() {
    let system = System::bare().await.unwrap();
    for sku in ["PROD-A1", "PROD-B2"] {
        system.stock(sku, 100).await.unwrap();
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap(); // it takes connections, and never answers
    let receiver = Receiver {
        url: format!("http://{}", nobody.local_addr().unwrap()),
        spans: Arc::default(),
    };
    let fleet = Fleet {
        system: &system,
        receiver: &receiver,
    };
    let mut running = Vec::new();
    for worker in ["order", "payment", "inventory", "shipping"] {
        running.push(fleet.start(worker).await.unwrap());
    }
    for n in 0..20 {
        let order = order_with(&format!("ORD-{n}"), "/customerId", "CUST-1");
        system.place(&order).await.unwrap();
    }
    for n in 0..20 {
        system.until_final(&format!("ORD-{n}")).await.unwrap();
    }
    for process in running {
        process.terminate().await.unwrap();
        let (code, said) = process.ended().await.unwrap();
        assert_eq!(code, Some(0), "{said}");
    }
}
