//! `jetsaga-shipping`: see the library.

fn main() -> std::process::ExitCode {
    jetsaga::launch(
        "jetsaga-shipping",
        "Ships what is paid and reserved",
        shipping::worker,
    )
}
