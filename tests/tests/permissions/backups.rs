use jetsaga::Status;
use jetsaga_tests::harness::{Guarded, Process, order};

use crate::crew::Crew;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_taken_and_put_back_by_a_user_of_its_own() {
    let crew = Crew::start(None).await.unwrap();
    crew.until_working().await.unwrap();
    crew.publish("in.checkout.OrderCreated", &order("ORD-1").to_string())
        .await
        .unwrap();
    crew.until("ORD-1", "completed", |state| state.status == Status::Completed)
        .await
        .unwrap();
    let folder = crew.site.dir().join("backup").display().to_string();
    crew.site.run("keeper", &["backup", &folder]).await.unwrap();
    let provider = crew.provider.url.clone();

    let other = Guarded::with_users().await.unwrap();
    other.run("keeper", &["restore", &folder]).await.unwrap();
    let shown = other.run("operator", &["show", "ORD-1"]).await.unwrap();
    assert!(shown.contains("completed"), "{shown}");
    let fsck = ["fsck", "--provider-url", &provider];
    other.run("operator", &fsck).await.unwrap();
    assert!(!other.log().contains("Violation"), "{}", other.log());

    // Nobody else may: the keys of personal data are in it.
    let elsewhere = crew.site.dir().join("elsewhere").display().to_string();
    for user in ["operator", "topology", "gateway"] {
        let mut command = crew.site.command(user, &["backup", &elsewhere]).unwrap();
        let (code, said) = Process::start(&mut command).unwrap().ended().await.unwrap();
        assert_eq!(code, Some(1), "{user}: {said}");
    }
}
