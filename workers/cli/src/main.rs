//! `jetsaga`: see the library.

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    jetsaga_cli::run(jetsaga_cli::Cli::parse())
}
