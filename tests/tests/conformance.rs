//! The server in memory answers as a real one does, in everything that the engine relies on.

use jetsaga_tests::{
    conformance::{Place, conforms},
    harness::System,
};

#[tokio::test(start_paused = true)]
async fn the_server_in_memory_conforms() {
    conforms(&Place::in_memory()).await.unwrap();
}

#[tokio::test]
async fn a_real_server_conforms() {
    let system = System::bare().await.unwrap();
    conforms(&Place::on(&system)).await.unwrap();
}
