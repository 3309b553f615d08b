//! `jetsaga-payment`: see the library.

fn main() -> std::process::ExitCode {
    jetsaga::launch(
        "jetsaga-payment",
        "Charges orders, and gives money back",
        payment::worker,
    )
}
