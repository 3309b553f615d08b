//! `jetsaga-projector`: see the library.

fn main() -> std::process::ExitCode {
    jetsaga::launch(
        "jetsaga-projector",
        "Keeps the read models of the checkout",
        projector::worker,
    )
}
