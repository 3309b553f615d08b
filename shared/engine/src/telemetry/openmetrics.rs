//! The text of `/metrics`, read back: what goes by OTLP is what is scraped, counted once and named alike.

use std::collections::BTreeMap;

/// A metric with its values.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Metric {
    /// Its name, without what a sample's name adds to it.
    pub(super) name: String,
    /// What it means.
    pub(super) help: String,
    /// Its values.
    pub(super) values: Values,
}

/// The values of a metric, by labels.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Values {
    /// It goes up and down, or is of a type that only says something with its labels.
    #[default]
    Nothing,
    /// It goes up and down.
    Gauge(Vec<(Labels, f64)>),
    /// It only goes up.
    Counter(Vec<(Labels, f64)>),
    /// Observations in buckets.
    Histogram(Vec<(Labels, Buckets)>),
}

pub(super) type Labels = BTreeMap<String, String>;

/// A histogram of one set of labels.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Buckets {
    /// Upper bounds with how many observations are at or under each, infinity last.
    pub(super) under: Vec<(f64, u64)>,
    /// The sum of all observations.
    pub(super) sum: f64,
    /// How many there are.
    pub(super) count: u64,
    /// Values with the trace that each was seen in, and when, in seconds since 1970.
    pub(super) exemplars: Vec<(Labels, f64, f64)>,
}

struct Sample<'a> {
    name: &'a str,
    labels: Labels,
    value: f64,
    exemplar: Option<(Labels, f64, f64)>,
}

/// Reads the text of [`crate::Metrics::text`]. A line that is not understood is left out.
pub(super) fn read(text: &str) -> Vec<Metric> {
    let mut metrics: Vec<Metric> = Vec::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap_or((help, ""));
            metrics.push(Metric {
                name: name.to_owned(),
                help: help.to_owned(),
                values: Values::Nothing,
            });
        } else if let (Some(of), Some(metric)) = (line.strip_prefix("# TYPE "), metrics.last_mut()) {
            metric.values = match of.rsplit(' ').next() {
                Some("info") => {
                    metric.name.push_str("_info"); // OTLP has no such type: it is a gauge of this name
                    Values::Gauge(Vec::new())
                }
                Some("counter") => Values::Counter(Vec::new()),
                Some("histogram") => Values::Histogram(Vec::new()),
                _ => Values::Gauge(Vec::new()),
            };
        } else if let (Some(sample), Some(metric)) = (sample(line), metrics.last_mut()) {
            metric.take(sample);
        }
    }
    metrics
}

impl Metric {
    fn take(&mut self, sample: Sample<'_>) {
        let Some(part) = sample.name.strip_prefix(self.name.as_str()) else {
            return;
        };
        match &mut self.values {
            Values::Nothing => {}
            Values::Gauge(values) | Values::Counter(values) => values.push((sample.labels, sample.value)),
            Values::Histogram(values) => {
                let mut labels = sample.labels;
                let bound = labels.remove("le");
                if values.last().is_none_or(|(last, _)| *last != labels) {
                    values.push((labels, Buckets::default()));
                }
                let Some((_, buckets)) = values.last_mut() else {
                    return;
                };
                buckets.exemplars.extend(sample.exemplar);
                match (part, bound.as_deref().map(number)) {
                    ("_sum", _) => buckets.sum = sample.value,
                    ("_count", _) => buckets.count = whole(sample.value),
                    ("_bucket", Some(Some(bound))) => buckets.under.push((bound, whole(sample.value))),
                    _ => {}
                }
            }
        }
    }
}

/// `name{labels} value [timestamp] [# {labels} value timestamp]`
fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = labels(rest)?;
    let (value, exemplar) = match rest.split_once(" # ") {
        Some((value, exemplar)) => (value, Some(exemplar)),
        None => (rest, None),
    };
    let exemplar = exemplar.and_then(|text| {
        let (labels, rest) = self::labels(text)?;
        let mut numbers = rest.split_whitespace().map(number);
        Some((labels, numbers.next()??, numbers.next()??))
    });
    let value = number(value.split_whitespace().next()?)?;
    Some(Sample {
        name,
        labels,
        value,
        exemplar,
    })
}

/// `{a="b",c="d"}` at the beginning, if there is any, and what follows it.
fn labels(text: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    let Some(mut rest) = text.strip_prefix('{') else {
        return Some((labels, text));
    };
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, value) = rest.split_once("=\"")?;
        let (value, after) = quoted(value)?;
        labels.insert(name.to_owned(), value);
        rest = after.strip_prefix(',').unwrap_or(after);
    }
}

/// The text up to the quote that ends it, without its escapes, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        other => other.parse().ok(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count, as text"
)]
const fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{ByConsumer, BySagaEnd, Metrics, TraceLabel};

    fn found<'a>(metrics: &'a [Metric], name: &str) -> &'a Metric {
        metrics.iter().find(|metric| metric.name == name).unwrap()
    }

    fn labelled(pairs: &[(&str, &str)]) -> Labels {
        let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        pairs.collect()
    }

    #[test]
    fn what_is_scraped_is_read_back() {
        let metrics = Metrics::new();
        metrics
            .deliveries
            .get_or_create(&ByConsumer::of("checkout-payment"))
            .inc_by(7);
        metrics.in_flight.set(-3);
        let end = BySagaEnd {
            saga: "checkout".to_owned(),
            outcome: "completed",
        };
        let trace = TraceLabel {
            trace_id: "4bf9".to_owned(),
        };
        let seconds = metrics.sagas.seconds.get_or_create(&end);
        seconds.observe(0.002, None, None);
        seconds.observe(7000.0, Some(trace), Some(SystemTime::UNIX_EPOCH));
        drop(seconds);

        let read = read(&metrics.text());
        assert_eq!(
            found(&read, "jetsaga_deliveries").values,
            Values::Counter(vec![(labelled(&[("consumer", "checkout-payment")]), 7.0)])
        );
        assert_eq!(
            found(&read, "jetsaga_in_flight").values,
            Values::Gauge(vec![(Labels::new(), -3.0)])
        );
        let Values::Histogram(values) = &found(&read, "jetsaga_saga_duration_seconds").values else {
            panic!("{read:#?}");
        };
        let [(labels, buckets)] = values.as_slice() else {
            panic!("{values:#?}");
        };
        assert_eq!(
            *labels,
            labelled(&[("outcome", "completed"), ("saga", "checkout")])
        );
        assert_eq!((buckets.count, buckets.sum), (2, 7000.002));
        assert_eq!(buckets.under.first(), Some(&(0.001, 0)));
        assert_eq!(buckets.under.get(1), Some(&(0.0025, 1)));
        assert_eq!(buckets.under.last(), Some(&(f64::INFINITY, 2)));
        assert_eq!(
            buckets.exemplars,
            [(labelled(&[("trace_id", "4bf9")]), 7000.0, 0.0)]
        );
        let help = &found(&read, "jetsaga_in_flight").help;
        assert_eq!(help, "Messages in work.");
    }

    #[test]
    fn labels_have_escapes() {
        let (read, rest) = labels(r#"{a="1\"2\\3,4}5\n6",b=""} 7"#).unwrap();
        assert_eq!(read, labelled(&[("a", "1\"2\\3,4}5\n6"), ("b", "")]));
        assert_eq!(rest, " 7");
        for odd in [r#"{a="1"#, "{a=1}", "{a"] {
            assert_eq!(labels(odd), None, "{odd}");
        }
    }

    #[test]
    fn every_metric_is_read_back() {
        let text = Metrics::new().text();
        let types = text.lines().filter(|line| line.starts_with("# TYPE")).count();
        let read = read(&text);
        assert_eq!(read.len(), types);
        assert!(read.iter().all(|metric| metric.values != Values::Nothing));
    }
}
