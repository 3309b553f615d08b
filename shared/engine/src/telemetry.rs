use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt};

use crate::{EngineArgs, LogFormat};

/// Starts structured logs on standard error. Call it once, first; a second call changes nothing.
pub fn start(args: &EngineArgs) {
    let filter = EnvFilter::new(&args.log);
    let log = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let _ = match args.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
