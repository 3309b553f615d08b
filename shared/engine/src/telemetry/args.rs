use std::{ffi::OsStr, path::PathBuf, time::Duration};

use clap::{Args, Command, builder::Resettable};

use super::OtlpHeaders;
use crate::hidden::{Hidden, open_url};

/// Where traces and metrics go by OTLP. Of the variables of the OpenTelemetry specification these are read, and
/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`; the exporter of traces knows a few more, for traces alone.
#[derive(Args, Clone, Debug)]
pub struct OtlpArgs {
    /// Where traces and metrics go, by OTLP, such as http://127.0.0.1:4318; nowhere without it.
    #[arg(
        long = "otlp-endpoint",
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        hide_env_values = true,
        value_parser = Hidden::new("OTEL_EXPORTER_OTLP_ENDPOINT", "a URL such as http://127.0.0.1:4318, and a key in JETSAGA_OTLP_HEADERS_FILE", endpoint)
    )]
    pub endpoint: Option<String>,

    /// Headers that go with them, `name=value,name=value`, the values percent-encoded; a key is safer in a file.
    #[arg(
        long = "otlp-headers",
        env = "OTEL_EXPORTER_OTLP_HEADERS",
        hide_env_values = true,
        value_parser = Hidden::new("OTEL_EXPORTER_OTLP_HEADERS", OtlpHeaders::TAKES, OtlpHeaders::read)
    )]
    pub headers: Option<OtlpHeaders>,

    /// A file that holds the same, read once: so no environment shows a key.
    #[arg(
        long = "otlp-headers-file",
        env = "JETSAGA_OTLP_HEADERS_FILE",
        value_name = "FILE"
    )]
    pub headers_file: Option<PathBuf>,

    /// How they go: `http/protobuf`, or `grpc` in a build with the feature `otlp-grpc`.
    #[arg(
        long = "otlp-protocol",
        env = "OTEL_EXPORTER_OTLP_PROTOCOL",
        default_value = "http/protobuf",
        value_parser = protocol
    )]
    pub protocol: Protocol,

    /// Which share of new traces is kept: 0 to 1. A trace that comes in keeps what its sender decided.
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value = "1", value_parser = trace_sample)]
    pub trace_sample: f64,

    /// Spans that wait to be sent, at most: 1 to 65536. What comes on top is dropped and counted.
    #[arg(long, env = "OTEL_BSP_MAX_QUEUE_SIZE", default_value = "2048", value_parser = trace_queue)]
    pub trace_queue: usize,

    /// How long spans are gathered before they go, in milliseconds: 10 to 60000.
    #[arg(long, env = "OTEL_BSP_SCHEDULE_DELAY", default_value = "5000", value_parser = trace_delay)]
    pub trace_delay: Duration,

    /// Whether metrics go the same way: `otlp` or `none`. `/metrics` has them in any case.
    #[arg(long = "otlp-metrics", env = "OTEL_METRICS_EXPORTER", default_value = "otlp", value_parser = metrics)]
    pub metrics: MetricsExporter,

    /// How often metrics go, in milliseconds: 100 to 3600000.
    #[arg(
        long = "otlp-metrics-interval",
        env = "OTEL_METRIC_EXPORT_INTERVAL",
        default_value = "60000",
        value_parser = interval
    )]
    pub interval: Duration,
}

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Protocol buffers over HTTP/1.1.
    Http,
    /// gRPC.
    #[cfg(feature = "otlp-grpc")]
    Grpc,
}

/// Whether metrics go by OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsExporter {
    /// They do.
    Otlp,
    /// They do not.
    None,
}

impl OtlpArgs {
    /// True if metrics go somewhere.
    pub(crate) fn takes_metrics(&self) -> bool {
        self.endpoint.is_some() && self.metrics == MetricsExporter::Otlp
    }

    /// The headers of all that is sent.
    ///
    /// # Errors
    /// When the file is of no use, or there are two answers.
    pub(super) fn all_headers(&self) -> anyhow::Result<OtlpHeaders> {
        match (&self.headers, &self.headers_file) {
            (None, None) => Ok(OtlpHeaders::default()),
            (Some(headers), None) => Ok(headers.clone()),
            (None, Some(file)) => OtlpHeaders::in_file(file),
            (Some(_), Some(_)) => anyhow::bail!(
                "OTEL_EXPORTER_OTLP_HEADERS and JETSAGA_OTLP_HEADERS_FILE are both set; say one of them"
            ),
        }
    }
}

/// The same command, for which an empty `OTEL_` variable is as good as none, as the OpenTelemetry specification has it.
#[must_use]
pub fn unset_where_empty(command: Command) -> Command {
    command.mut_args(|arg| match arg.get_env() {
        Some(name) if name.as_encoded_bytes().starts_with(b"OTEL_") && is_empty(name) => {
            arg.env(Resettable::Reset)
        }
        _ => arg,
    })
}

fn is_empty(name: &OsStr) -> bool {
    std::env::var_os(name).is_some_and(|value| value.is_empty())
}

fn endpoint(text: &str) -> Result<String, String> {
    open_url(text).map(|url| url.trim_end_matches('/').to_owned())
}

fn protocol(text: &str) -> Result<Protocol, String> {
    match text {
        "http/protobuf" => Ok(Protocol::Http),
        #[cfg(feature = "otlp-grpc")]
        "grpc" => Ok(Protocol::Grpc),
        #[cfg(not(feature = "otlp-grpc"))]
        "grpc" => Err(
            "OTEL_EXPORTER_OTLP_PROTOCOL is \"grpc\", which this build leaves out; it takes http/protobuf, \
             or build with --features otlp-grpc"
                .to_owned(),
        ),
        _ => Err(format!(
            "OTEL_EXPORTER_OTLP_PROTOCOL is {text:?}; it takes http/protobuf or grpc"
        )),
    }
}

fn trace_sample(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!(
            "OTEL_TRACES_SAMPLER_ARG is {text:?}; it takes a share from 0 to 1, such as 0.01"
        )),
    }
}

fn trace_queue(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=65_536).contains(&n) => Ok(n),
        _ => Err(format!(
            "OTEL_BSP_MAX_QUEUE_SIZE is {text:?}; it takes a whole number from 1 to 65536"
        )),
    }
}

fn trace_delay(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(ms) if (10..=60_000).contains(&ms) => Ok(Duration::from_millis(ms)),
        _ => Err(format!(
            "OTEL_BSP_SCHEDULE_DELAY is {text:?}; it takes milliseconds from 10 to 60000"
        )),
    }
}

fn metrics(text: &str) -> Result<MetricsExporter, String> {
    match text {
        "otlp" => Ok(MetricsExporter::Otlp),
        "none" => Ok(MetricsExporter::None),
        _ => Err(format!(
            "OTEL_METRICS_EXPORTER is {text:?}; it takes otlp or none"
        )),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(ms) if (100..=3_600_000).contains(&ms) => Ok(Duration::from_millis(ms)),
        _ => Err(format!(
            "OTEL_METRIC_EXPORT_INTERVAL is {text:?}; it takes milliseconds from 100 to 3600000"
        )),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Cli {
        #[command(flatten)]
        otlp: OtlpArgs,
    }

    #[test]
    fn a_wrong_value_is_refused_by_name_with_what_would_be_right() {
        for (flag, value, variable, right) in [
            (
                "--otlp-endpoint",
                "4318",
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "http://127.0.0.1:4318",
            ),
            (
                "--otlp-protocol",
                "http/json",
                "OTEL_EXPORTER_OTLP_PROTOCOL",
                "http/protobuf",
            ),
            ("--trace-sample", "2", "OTEL_TRACES_SAMPLER_ARG", "0 to 1"),
            ("--trace-queue", "0", "OTEL_BSP_MAX_QUEUE_SIZE", "1 to 65536"),
            (
                "--trace-delay",
                "0",
                "OTEL_BSP_SCHEDULE_DELAY",
                "from 10 to 60000",
            ),
            (
                "--otlp-metrics",
                "prometheus",
                "OTEL_METRICS_EXPORTER",
                "otlp or none",
            ),
            (
                "--otlp-metrics-interval",
                "60s",
                "OTEL_METRIC_EXPORT_INTERVAL",
                "milliseconds from 100",
            ),
        ] {
            let parsed = Cli::try_parse_from(["x", flag, value]);
            let Err(error) = parsed.map_err(|error| error.to_string()) else {
                panic!("{flag} {value} passed");
            };
            for part in [variable, value, right] {
                assert!(error.contains(part), "{flag} {value}: {error}");
            }
        }
    }

    #[test]
    fn an_endpoint_holds_no_password_and_no_error_shows_one() {
        for wrong in [
            "http://u:s3cret@host",
            "u:s3cret@host",
            "http://u:s3cret@host:port",
        ] {
            let error = Cli::try_parse_from(["x", "--otlp-endpoint", wrong]).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && !error.contains("s3cret"),
                "{error}"
            );
        }
        let error = Cli::try_parse_from(["x", "--otlp-headers", "api key=s3cret"]).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("OTEL_EXPORTER_OTLP_HEADERS") && !error.contains("s3cret"),
            "{error}"
        );
    }

    #[test]
    fn headers_come_from_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("headers");
        let file = file.to_str().unwrap();
        let headers = |text: &str, more: &[&str]| {
            std::fs::write(file, text).unwrap();
            let flags = ["x", "--otlp-headers-file", file];
            let cli = Cli::try_parse_from(flags.iter().chain(more)).unwrap();
            cli.otlp.all_headers().map_err(|error| format!("{error:#}"))
        };
        assert_eq!(
            headers("api-key=s3cret\n", &[]),
            OtlpHeaders::read("api-key=s3cret").map_err(|_| unreachable!())
        );
        for (text, more, why) in [
            ("s3cret\n", &[][..], "header 1 has no ="),
            ("\n", &[], "it is empty"),
            ("a=s3cret", &["--otlp-headers", "a=s3cret"], "say one of them"),
        ] {
            let error = headers(text, more).unwrap_err().replace(file, "it"); // its name is anything
            assert!(
                error.contains(why) && error.contains("JETSAGA_OTLP_HEADERS_FILE") && !error.contains("s3"),
                "{error}"
            );
        }
    }

    #[cfg(not(feature = "otlp-grpc"))]
    #[test]
    fn a_build_without_grpc_says_which_build_has_it() {
        let error = Cli::try_parse_from(["x", "--otlp-protocol", "grpc"]).unwrap_err();
        assert!(error.to_string().contains("--features otlp-grpc"), "{error}");
    }
}
