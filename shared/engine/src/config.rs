use std::{net::SocketAddr, time::Duration};

use clap::Args;

use crate::{
    ConnectionArgs, OtlpArgs, Survives,
    hidden::{Hidden, open_url},
};

/// What every worker can be told, by flag or by environment. Read once; a wrong value stops the start.
#[derive(Args, Clone, Debug)]
pub struct EngineArgs {
    /// How it connects to NATS.
    #[command(flatten)]
    pub connection: ConnectionArgs,

    /// Where `/livez`, `/readyz` and `/metrics` are served; without it they are not.
    #[arg(long, env = "JETSAGA_HTTP_LISTEN", value_name = "ADDRESS", value_parser = listen)]
    pub http_listen: Option<SocketAddr>,

    /// Messages in work at once, for each consumer: 1 to 4096.
    #[arg(long, env = "JETSAGA_CONCURRENCY", default_value = "256", value_parser = concurrency)]
    pub concurrency: usize,

    /// How long one effect may take before it counts as failed: 1s to 1h.
    #[arg(long, env = "JETSAGA_HANDLER_LIMIT", default_value = "60s", value_parser = handler_limit)]
    pub handler_limit: Duration,

    /// How long the drain on SIGTERM may take: 1s to 10m.
    #[arg(long, env = "JETSAGA_DRAIN_LIMIT", default_value = "20s", value_parser = drain_limit)]
    pub drain_limit: Duration,

    /// Replicas of the streams that are created: 1 (process-crash safe) or 3 or 5 (node-loss safe).
    #[arg(long, env = "JETSAGA_REPLICAS", default_value = "1", value_parser = replicas)]
    pub replicas: usize,

    /// The monitoring addresses of all nats-servers, such as http://nats-0:8222, several with commas: only there do they
    /// say whether they write through to their disks.
    #[arg(
        long,
        env = "JETSAGA_NATS_MONITORS",
        hide_env_values = true,
        value_delimiter = ',',
        value_parser = Hidden::new("JETSAGA_NATS_MONITORS", "URLs such as http://127.0.0.1:8222", open_url)
    )]
    pub nats_monitors: Vec<String>,

    /// Refuse to run unless nothing acknowledged is lost in such an accident: process-crash, node-loss, power-loss;
    /// several with commas.
    #[arg(long, env = "JETSAGA_REQUIRE_DURABILITY", value_delimiter = ',', value_parser = str::parse::<Survives>)]
    pub require_durability: Vec<Survives>,

    /// Create what is missing on the server at the start; without it, missing streams stop the start.
    #[arg(long, env = "JETSAGA_PROVISION", value_parser = provision)]
    pub provision: bool,

    /// What is logged: `info`, `debug`, `engine=debug,info`, …
    #[arg(long, env = "JETSAGA_LOG", default_value = "info", value_parser = log_filter)]
    pub log: String,

    /// Where traces and metrics go.
    #[command(flatten)]
    pub otlp: OtlpArgs,

    /// How it is logged: `text` or `json`.
    #[arg(long, env = "JETSAGA_LOG_FORMAT", default_value = "text", value_parser = log_format)]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads a duration such as `500ms`, `30s`, `15m` or `2h`.
///
/// # Errors
/// Says what it takes.
pub fn duration(text: &str) -> Result<Duration, String> {
    let takes =
        || format!("{text:?} is no duration; it takes a number with a unit, such as 500ms, 30s, 15m or 2h");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(takes)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| takes())?;
    let factor = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(takes()),
    };
    number
        .checked_mul(factor)
        .map(Duration::from_secs)
        .ok_or_else(takes)
}

fn between(name: &str, text: &str, least: u64, most: u64) -> Result<Duration, String> {
    let value = duration(text).map_err(|error| format!("{name}: {error}"))?;
    if value < Duration::from_secs(least) || value > Duration::from_secs(most) {
        return Err(format!("{name} is {text}; it takes {least}s to {most}s"));
    }
    Ok(value)
}

fn handler_limit(text: &str) -> Result<Duration, String> {
    between("JETSAGA_HANDLER_LIMIT", text, 1, 3600)
}

fn drain_limit(text: &str) -> Result<Duration, String> {
    between("JETSAGA_DRAIN_LIMIT", text, 1, 600)
}

fn concurrency(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=4096).contains(&n) => Ok(n),
        _ => Err(format!(
            "JETSAGA_CONCURRENCY is {text:?}; it takes a whole number from 1 to 4096"
        )),
    }
}

/// Reads a number of replicas.
///
/// # Errors
/// Says what it takes.
pub fn replicas(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if [1, 3, 5].contains(&n) => Ok(n),
        _ => Err(format!("JETSAGA_REPLICAS is {text:?}; it takes 1, 3 or 5")),
    }
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("JETSAGA_HTTP_LISTEN is {text:?}; it takes an address and a port, such as 127.0.0.1:9100 or [::]:9100")
    })
}

fn provision(text: &str) -> Result<bool, String> {
    text.parse()
        .map_err(|_| format!("JETSAGA_PROVISION is {text:?}; it takes true or false"))
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("JETSAGA_LOG_FORMAT is {text:?}; it takes text or json")),
    }
}

fn log_filter(text: &str) -> Result<String, String> {
    match text.parse::<tracing_subscriber::EnvFilter>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!(
            "JETSAGA_LOG is {text:?}: {error}; it takes a filter such as info or engine=debug,info"
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
        engine: EngineArgs,
    }

    #[test]
    fn a_wrong_value_is_refused_by_name_with_what_would_be_right() {
        for (flag, value, variable, right) in [
            ("--concurrency", "0", "JETSAGA_CONCURRENCY", "1 to 4096"),
            ("--concurrency", "many", "JETSAGA_CONCURRENCY", "1 to 4096"),
            ("--drain-limit", "soon", "JETSAGA_DRAIN_LIMIT", "such as 500ms"),
            ("--drain-limit", "2h", "JETSAGA_DRAIN_LIMIT", "1s to 600s"),
            ("--handler-limit", "0s", "JETSAGA_HANDLER_LIMIT", "1s to 3600s"),
            ("--replicas", "2", "JETSAGA_REPLICAS", "1, 3 or 5"),
            ("--http-listen", "9100", "JETSAGA_HTTP_LISTEN", "127.0.0.1:9100"),
            (
                "--nats-url",
                "nats://",
                "JETSAGA_NATS_URL",
                "nats://127.0.0.1:4222",
            ),
            ("--log", "engine=loud", "JETSAGA_LOG", "engine=debug"),
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
    fn durations_have_units() {
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for odd in ["", "5", "s", "-1s", "1.5s", "99999999999999999999h"] {
            assert!(duration(odd).is_err(), "{odd}");
        }
    }
}
