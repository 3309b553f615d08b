//! What goes by OTLP is what is scraped.

use std::collections::BTreeMap;

use anyhow::Result;
use jetsaga_tests::harness::{order, until};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point::Value};

use crate::{
    fleet::{Fleet, stocked},
    receiver::{Receiver, attributes, hex},
};

/// The value of each sample of `/metrics`, by its name and labels as they are spelled there.
pub(crate) async fn scrape(address: &str) -> Result<BTreeMap<String, f64>> {
    let text = reqwest::get(format!("http://{address}/metrics"))
        .await?
        .text()
        .await?;
    let samples = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let sample = line.split(" # ").next()?;
            let (name, value) = sample.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
    Ok(samples.collect())
}

/// The same samples, out of what OTLP brought.
fn flat(metrics: Vec<Metric>) -> BTreeMap<String, f64> {
    let mut flat = BTreeMap::new();
    for metric in metrics {
        let name = metric.name;
        let (points, suffix) = match metric.data {
            Some(Data::Gauge(gauge)) => (gauge.data_points, ""),
            Some(Data::Sum(sum)) => (sum.data_points, "_total"),
            Some(Data::Histogram(histogram)) => {
                for point in histogram.data_points {
                    let labels = attributes(point.attributes);
                    let bounds = point.explicit_bounds.iter().map(|bound| format!("{bound:?}"));
                    let mut under = 0;
                    for (bound, inside) in bounds.chain(["+Inf".to_owned()]).zip(&point.bucket_counts) {
                        under += inside;
                        let mut labels = labels.clone();
                        labels.insert("le".to_owned(), bound);
                        flat.insert(sample(&name, "_bucket", &labels), under as f64);
                    }
                    flat.insert(sample(&name, "_sum", &labels), point.sum.unwrap_or_default());
                    flat.insert(sample(&name, "_count", &labels), point.count as f64);
                }
                continue;
            }
            _ => continue,
        };
        for point in points {
            let Some(Value::AsDouble(value)) = point.value else {
                continue;
            };
            flat.insert(sample(&name, suffix, &attributes(point.attributes)), value);
        }
    }
    flat
}

fn sample(name: &str, suffix: &str, labels: &BTreeMap<String, String>) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    match labels.as_slice() {
        [] => format!("{name}{suffix}"),
        labels => format!("{name}{suffix}{{{}}}", labels.join(",")),
    }
}

/// Labels in the order of the alphabet: the text has them in the order of their declaration.
fn sorted(sample: &str) -> String {
    let Some((name, labels)) = sample.strip_suffix('}').and_then(|sample| sample.split_once('{')) else {
        return sample.to_owned();
    };
    let mut labels: Vec<&str> = labels.split(',').collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

#[tokio::test]
async fn what_goes_by_otlp_is_what_is_scraped() {
    let system = stocked().await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    let fleet = Fleet::new(&system, &receiver.url);
    let probes = ["--http-listen", "127.0.0.1:0"];
    let shipping = fleet
        .start_with("shipping", |command| command.args(probes))
        .await
        .unwrap();
    let mut running = Vec::new();
    for worker in ["order", "payment", "inventory"] {
        running.push(fleet.start(worker).await.unwrap());
    }
    for n in 0..20 {
        system.place(&order(&format!("ORD-{n}"))).await.unwrap();
    }
    for n in 0..20 {
        system.until_final(&format!("ORD-{n}")).await.unwrap();
    }
    let address = shipping.until_said("probes are served address=").await.unwrap();
    let ended = "jetsaga_sagas_ended_total{outcome=\"completed\",saga=\"checkout\"}";
    // Nothing happens any more, so both say the same as soon as both have been told.
    let told = until("OTLP says what /metrics says", async || {
        let scraped = scrape(&address).await?;
        let scraped: BTreeMap<String, f64> = scraped
            .into_iter()
            .map(|(name, value)| (sorted(&name), value))
            .collect();
        let told = flat(receiver.metrics("shipping"));
        let told: BTreeMap<String, f64> = told
            .into_iter()
            .map(|(name, value)| (sorted(&name), value))
            .collect();
        Ok((told == scraped && told.get(ended) == Some(&20.0)).then_some(told))
    });
    let Ok(told) = told.await else {
        let scraped = scrape(&address).await.unwrap();
        panic!("{scraped:#?}\n{:#?}", flat(receiver.metrics("shipping")));
    };
    let buckets = told
        .keys()
        .filter(|name| name.starts_with("jetsaga_saga_duration_seconds_bucket"));
    assert_eq!(buckets.count(), 16, "{told:#?}");
    assert_eq!(told["jetsaga_spans_dropped_total"], 0.0);

    let kept: Vec<String> = receiver.spans().into_iter().map(|span| span.trace).collect();
    let metrics = receiver.metrics("shipping");
    let duration = metrics
        .iter()
        .find(|metric| metric.name == "jetsaga_saga_duration_seconds");
    let Some(Data::Histogram(histogram)) = duration.and_then(|metric| metric.data.clone()) else {
        panic!("{metrics:#?}");
    };
    let exemplars: Vec<String> = histogram
        .data_points
        .iter()
        .flat_map(|point| &point.exemplars)
        .map(|exemplar| hex(&exemplar.trace_id))
        .collect();
    assert!(!exemplars.is_empty());
    assert!(
        exemplars.iter().all(|trace| kept.contains(trace)),
        "{exemplars:?}"
    );

    // What happens last is told as well.
    shipping.terminate().await.unwrap();
    assert_eq!(shipping.ended().await.unwrap().0, Some(0));
    let last = flat(receiver.metrics("shipping"));
    assert_eq!(last["jetsaga_draining"], 1.0);
}
