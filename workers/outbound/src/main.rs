//! `jetsaga-outbound`: see the library.

fn main() -> std::process::ExitCode {
    jetsaga::launch(
        "jetsaga-outbound",
        "Tells outsiders what happened",
        outbound::worker,
    )
}
