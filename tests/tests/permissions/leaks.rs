use jetsaga::{State, Status};
use jetsaga_tests::harness::order;

use crate::crew::Crew;

/// The seed of a worker is in its file and nowhere else: not in its environment, its arguments, its log or its errors.
#[tokio::test(flavor = "multi_thread")]
async fn a_seed_is_nowhere_but_in_its_file() {
    let mut crew = Crew::start(Some(&["order", "inventory", "shipping"]))
        .await
        .unwrap();
    crew.employ("payment", "trace").await.unwrap();
    crew.until_working().await.unwrap();
    crew.publish("in.checkout.OrderCreated", &order("ORD-1").to_string())
        .await
        .unwrap();
    crew.until("ORD-1", "completed", |state: &State| {
        state.status == Status::Completed
    })
    .await
    .unwrap();

    let seed = std::fs::read_to_string(crew.site.seed("payment")).unwrap();
    let seed = seed.trim();
    assert!(seed.starts_with("SU") && seed.len() == 58);
    let (_, payment) = crew.workers.iter().find(|(name, _)| *name == "payment").unwrap();
    let id = payment.id().unwrap();
    let read = |what: &str| {
        let bytes = std::fs::read(format!("/proc/{id}/{what}")).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (environment, arguments) = (read("environ"), read("cmdline"));
    assert!(environment.contains("JETSAGA_NATS_NKEY_FILE="));
    let arguments_of_the_tool = format!("{:?}", crew.site.connection("payment"));
    let said = payment.said();
    assert!(said.contains("TRACE"), "the log is as loud as it gets");
    for (what, text) in [
        ("the environment", &environment),
        ("the arguments", &arguments),
        ("the flags as they are debugged", &arguments_of_the_tool),
        ("the log", &said),
        ("the server's log", &crew.site.log()),
    ] {
        assert!(!text.contains(seed), "{what} shows the seed");
    }
    crew.stop().await.unwrap();
}
