//! Every worker of the checkout in one binary, as the fault run starts them: the tool itself.

fn main() -> std::process::ExitCode {
    jetsaga_cli::main(std::env::args_os().collect())
}
