//! `jetsaga`: see the library.

fn main() -> std::process::ExitCode {
    jetsaga_cli::main(std::env::args_os().collect())
}
