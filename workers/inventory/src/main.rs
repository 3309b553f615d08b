//! `jetsaga-inventory`: see the library.

fn main() -> std::process::ExitCode {
    jetsaga::launch(
        "jetsaga-inventory",
        "Reserves stock, all or none",
        inventory::worker,
    )
}
