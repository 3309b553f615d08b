//! `jetsaga-gateway`: see the library.

fn main() -> std::process::ExitCode {
    jetsaga::launch("jetsaga-gateway", "Serves orders over HTTP", gateway::worker)
}
