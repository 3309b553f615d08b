//! `jetsaga-order`: see the library.

fn main() -> std::process::ExitCode {
    jetsaga::launch(
        "jetsaga-order",
        "Lets orders in, and ends what was taken back",
        order::worker,
    )
}
