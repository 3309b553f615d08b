use std::future::Future;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use crate::failures::{Failures, WrongSetting, check_delay, check_rate};
use crate::server::{Config, serve};

/// A payment provider to run against: idempotency keys, a durable ledger, and
/// failures on demand.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "jetsaga-provider", version)]
pub struct Args {
    /// The address and port to listen on; port 0 takes a free one.
    #[arg(long, env = "PROVIDER_LISTEN", default_value = "127.0.0.1:4242", value_parser = address)]
    pub listen: SocketAddr,
    /// The ledger file: JSON lines, created if need be.
    #[arg(long, env = "PROVIDER_LEDGER", default_value = "./provider-ledger.jsonl", value_parser = ledger)]
    pub ledger: PathBuf,
    /// Write each ledger line through to the disk before it is answered.
    #[arg(long, env = "PROVIDER_FSYNC", value_parser = yes)]
    pub fsync: bool,
    /// The probability that a charge is declined, from 0 to 1; decided by seed and
    /// key.
    #[arg(long, env = "PROVIDER_DECLINE_RATE", default_value = "0", value_parser = rate("PROVIDER_DECLINE_RATE"))]
    pub decline_rate: f64,
    /// The probability that an attempt is answered 500 before anything is done.
    #[arg(long, env = "PROVIDER_ERROR_RATE", default_value = "0", value_parser = rate("PROVIDER_ERROR_RATE"))]
    pub error_rate: f64,
    /// How long a delayed attempt waits before its commit, in milliseconds, at
    /// most 60000.
    #[arg(long, env = "PROVIDER_DELAY_MS", default_value = "0", value_parser = delay)]
    pub delay_ms: u64,
    /// The probability that an attempt is delayed.
    #[arg(long, env = "PROVIDER_DELAY_RATE", default_value = "1", value_parser = rate("PROVIDER_DELAY_RATE"))]
    pub delay_rate: f64,
    /// The probability that the connection is closed in place of an answer, after
    /// the outcome is in the ledger.
    #[arg(
        long,
        env = "PROVIDER_LOST_ANSWER_RATE",
        default_value = "0",
        value_parser = rate("PROVIDER_LOST_ANSWER_RATE")
    )]
    pub lost_answer_rate: f64,
    /// What the draws of the failures start from: the same seed and the same
    /// requests fail in the same way.
    #[arg(long, env = "PROVIDER_SEED", default_value = "0", value_parser = seed)]
    pub seed: u64,
}

impl Args {
    /// The configuration these arguments ask for.
    pub fn config(&self) -> Config {
        let failures = Failures {
            decline_rate: self.decline_rate,
            error_rate: self.error_rate,
            delay_ms: self.delay_ms,
            delay_rate: self.delay_rate,
            lost_answer_rate: self.lost_answer_rate,
            seed: self.seed,
        };
        Config {
            fsync: self.fsync,
            failures,
            ..Config::new(&self.ledger)
        }
    }
}

/// Logs on standard error, filtered by `RUST_LOG`, at `info` without it. A second call changes nothing.
pub fn start_logs() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let _ = log.try_init(); // a second call changes nothing
}

/// Listens as `args` says and serves until `shutdown` completes; see [`serve`].
///
/// # Errors
/// If the address cannot be listened on (the error names `PROVIDER_LISTEN`), or
/// as [`serve`].
pub async fn run(args: Args, shutdown: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen).await.with_context(|| {
        format!(
            "PROVIDER_LISTEN is {}: expected an address of this machine and a free port",
            args.listen
        )
    })?;
    serve(listener, args.config(), shutdown).await
}

fn address(text: &str) -> Result<SocketAddr, WrongSetting> {
    let expected = "an IP address and a port, such as 127.0.0.1:4242";
    text.parse()
        .map_err(|_| WrongSetting::new("PROVIDER_LISTEN", text.to_owned(), expected))
}

fn ledger(text: &str) -> Result<PathBuf, WrongSetting> {
    let path = PathBuf::from(text);
    // `parent` of a bare file name is the empty path: the working directory.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if path.file_name().is_some() && folder.is_dir() && !path.is_dir() {
        return Ok(path);
    }
    let expected = "a file, new or not, in a directory which exists";
    Err(WrongSetting::new("PROVIDER_LEDGER", text.to_owned(), expected))
}

fn rate(name: &'static str) -> impl Fn(&str) -> Result<f64, WrongSetting> + Clone + Send + Sync + 'static {
    move |text| {
        let expected = "a probability from 0 to 1, such as 0.05";
        let rate = text
            .parse()
            .map_err(|_| WrongSetting::new(name, text.to_owned(), expected))?;
        check_rate(name, rate).map(|()| rate)
    }
}

fn delay(text: &str) -> Result<u64, WrongSetting> {
    let (name, expected) = ("PROVIDER_DELAY_MS", "a number of milliseconds from 0 to 60000");
    let ms = text
        .parse()
        .map_err(|_| WrongSetting::new(name, text.to_owned(), expected))?;
    check_delay(name, ms).map(|()| ms)
}

fn yes(text: &str) -> Result<bool, WrongSetting> {
    text.parse()
        .map_err(|_| WrongSetting::new("PROVIDER_FSYNC", text.to_owned(), "true or false"))
}

fn seed(text: &str) -> Result<u64, WrongSetting> {
    let expected = "an integer from 0 to 18446744073709551615";
    text.parse()
        .map_err(|_| WrongSetting::new("PROVIDER_SEED", text.to_owned(), expected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn error_of(flag: &str, value: &str) -> String {
        Args::try_parse_from(["provider", flag, value])
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_wrong_value_is_answered_with_the_variable_the_value_and_what_would_be_right() {
        let table = [
            (
                "--listen",
                "localhost",
                "PROVIDER_LISTEN is localhost: expected an IP address and a port",
            ),
            (
                "--ledger",
                "/no/such/dir/x",
                "PROVIDER_LEDGER is /no/such/dir/x: expected a file",
            ),
            (
                "--decline-rate",
                "1.5",
                "PROVIDER_DECLINE_RATE is 1.5: expected a probability",
            ),
            (
                "--error-rate",
                "often",
                "PROVIDER_ERROR_RATE is often: expected a probability",
            ),
            (
                "--delay-ms",
                "60001",
                "PROVIDER_DELAY_MS is 60001: expected a number of milliseconds",
            ),
            (
                "--delay-rate",
                "NaN",
                "PROVIDER_DELAY_RATE is NaN: expected a probability",
            ),
            (
                "--lost-answer-rate",
                "",
                "PROVIDER_LOST_ANSWER_RATE is : expected a probability",
            ),
            ("--seed", "0x1", "PROVIDER_SEED is 0x1: expected an integer"),
        ];
        for (flag, value, message) in table {
            let error = error_of(flag, value);
            assert!(error.contains(message), "{flag} {value:?}: {error}");
        }
    }

    #[test]
    fn the_flags_become_the_configuration() {
        let flags = [
            "provider",
            "--ledger",
            "l.jsonl",
            "--fsync",
            "--error-rate",
            "0.25",
            "--seed",
            "9",
        ];
        let config = Args::try_parse_from(flags).unwrap().config();
        let failures = Failures {
            error_rate: 0.25,
            seed: 9,
            ..Failures::default()
        };
        assert_eq!(
            config,
            Config {
                fsync: true,
                failures,
                ..Config::new("l.jsonl")
            }
        );
    }
}
