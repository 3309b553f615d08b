//! `jetsaga-notifier`: see the library.

fn main() -> std::process::ExitCode {
    jetsaga::launch(
        "jetsaga-notifier",
        "Tells customers how their order ended",
        notifier::worker,
    )
}
