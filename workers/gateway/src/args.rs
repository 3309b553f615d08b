use std::{net::SocketAddr, path::PathBuf, time::Duration};

use jetsaga::{Hidden, anyhow, clap, duration};

/// Flags of the gateway.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Args {
    /// Where HTTP is served; port 0 takes a free one.
    #[arg(long, env = "GATEWAY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = listen)]
    pub gateway_listen: SocketAddr,

    /// The file of keys, one line a token: see `jetsaga token new`. It is read again when it changes.
    #[arg(long, env = "GATEWAY_KEYS", value_name = "FILE")]
    pub gateway_keys: Option<PathBuf>,

    /// Ask nobody for a token: whoever reaches the port is an operator. For development alone.
    #[arg(long, env = "GATEWAY_WITHOUT_AUTHENTICATION", value_parser = open)]
    pub gateway_without_authentication: bool,

    /// Where the read model is, as the projector keeps it: `sqlite:PATH` or `postgres://…`. Without it there are no lists.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true,
        value_parser = Hidden::new("DATABASE_URL", readmodel::ADDRESS, readmodel::address))]
    pub database_url: Option<String>,

    /// A file that holds the same, so that no environment shows a password; another address of PostgreSQL counts within five seconds, for new connections.
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,

    /// How long a command waits for the answer of who decides on it: 10ms to 30s.
    #[arg(long, env = "GATEWAY_ANSWER_LIMIT", default_value = "3s", value_parser = limit("GATEWAY_ANSWER_LIMIT", 10, 30_000))]
    pub gateway_answer_limit: Duration,

    /// How long a query waits for the read model to reach the sequence that it names: 0ms to 30s.
    #[arg(long, env = "GATEWAY_READ_LIMIT", default_value = "2s", value_parser = limit("GATEWAY_READ_LIMIT", 0, 30_000))]
    pub gateway_read_limit: Duration,

    /// Requests that are answered at once; more are refused: 1 to 65536.
    #[arg(long, env = "GATEWAY_REQUESTS", default_value = "1024", value_parser = count("GATEWAY_REQUESTS"))]
    pub gateway_requests: usize,

    /// Live streams that are open at once; more are refused: 1 to 65536.
    #[arg(long, env = "GATEWAY_STREAMS", default_value = "512", value_parser = count("GATEWAY_STREAMS"))]
    pub gateway_streams: usize,

    /// Connections that are open at once; more wait to be taken: 1 to 65536.
    #[arg(long, env = "GATEWAY_CONNECTIONS", default_value = "4096", value_parser = count("GATEWAY_CONNECTIONS"))]
    pub gateway_connections: usize,
}

/// How a gateway runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file of keys; `None` asks nobody for a token.
    pub keys: Option<PathBuf>,
    /// Where the read model is; `None` shows no lists.
    pub read_model: Option<String>,
    /// The file that this was read from, if it is to be read again.
    pub read_model_file: Option<PathBuf>,
    /// How long a command waits for the answer of who decides on it.
    pub answer_limit: Duration,
    /// How long a query waits for the read model.
    pub read_limit: Duration,
    /// How long any request may take until its answer begins.
    pub request_limit: Duration,
    /// How long a client may take to send its headers, or to begin another request.
    pub header_limit: Duration,
    /// How long a client may take to send a body.
    pub body_limit: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub write_limit: Duration,
    /// How long requests that were taken may run on after the stop.
    pub drain: Duration,
    /// Requests at once.
    pub requests: usize,
    /// Live streams at once.
    pub streams: usize,
    /// Connections at once.
    pub connections: usize,
}

impl Config {
    /// The limits that the flags have when none is given, with these keys.
    pub fn new(keys: Option<PathBuf>) -> Self {
        Self {
            keys,
            read_model: None,
            read_model_file: None,
            answer_limit: Duration::from_secs(3),
            read_limit: Duration::from_secs(2),
            request_limit: Duration::from_secs(30),
            header_limit: Duration::from_secs(15),
            body_limit: Duration::from_secs(15),
            write_limit: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            requests: 1024,
            streams: 512,
            connections: 4096,
        }
    }
}

impl Args {
    /// The configuration that these flags ask for.
    ///
    /// # Errors
    /// When nobody says who may ask, or a file that is named cannot be read.
    pub fn config(&self) -> anyhow::Result<Config> {
        let keys = match (&self.gateway_keys, self.gateway_without_authentication) {
            (Some(file), false) => Some(file.clone()),
            (None, true) => None,
            (None, false) => anyhow::bail!(
                "GATEWAY_KEYS is not set: it takes a file of keys (`jetsaga token new` makes a line); for development, --gateway-without-authentication"
            ),
            (Some(file), true) => anyhow::bail!(
                "GATEWAY_KEYS is {} and GATEWAY_WITHOUT_AUTHENTICATION is true; say one of them",
                file.display()
            ),
        };
        let read_model = match &self.database_url_file {
            None => self.database_url.clone(),
            Some(file) => Some(readmodel::address_in(file)?),
        };
        Ok(Config {
            read_model,
            read_model_file: self.database_url_file.clone(),
            answer_limit: self.gateway_answer_limit,
            read_limit: self.gateway_read_limit,
            requests: self.gateway_requests,
            streams: self.gateway_streams,
            connections: self.gateway_connections,
            ..Config::new(keys)
        })
    }
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "GATEWAY_LISTEN is {text:?}; it takes an address and a port, such as 127.0.0.1:8080 or [::]:8080"
        )
    })
}

fn open(text: &str) -> Result<bool, String> {
    text.parse()
        .map_err(|_| format!("GATEWAY_WITHOUT_AUTHENTICATION is {text:?}; it takes true or false"))
}

fn limit(
    name: &'static str,
    least: u64,
    most: u64,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync {
    move |text| {
        let value = duration(text).map_err(|error| format!("{name}: {error}"))?;
        if (Duration::from_millis(least)..=Duration::from_millis(most)).contains(&value) {
            return Ok(value);
        }
        Err(format!(
            "{name} is {text}; it takes {least}ms to {}s",
            most / 1000
        ))
    }
}

fn count(name: &'static str) -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync {
    move |text| match text.parse() {
        Ok(n) if (1..=65_536).contains(&n) => Ok(n),
        _ => Err(format!(
            "{name} is {text:?}; it takes a whole number from 1 to 65536"
        )),
    }
}
