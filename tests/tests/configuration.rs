//! A wrong value, by flag or by environment, stops the start with the name of the variable, the value and what would
//! be right.

use jetsaga::anyhow;
use jetsaga_tests::harness::{Process, System, jetsaga};

const TABLE: &str = include_str!("configuration.txt");

/// What a worker says that is started like this, and its exit code.
async fn start(
    worker: &str,
    flags: &[&str],
    env: Option<(&str, &str)>,
) -> anyhow::Result<(Option<i32>, String)> {
    let mut command = jetsaga()?;
    command.args(["worker", worker]).args(flags).envs(env);
    Process::start(&mut command)?.ended().await
}

#[tokio::test]
async fn a_wrong_value_is_refused_by_name_whether_by_flag_or_by_environment() {
    for row in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let ([worker, flag, variable, value, right], shown) = match cells[..] {
            [worker, flag, variable, value, right] => ([worker, flag, variable, value, right], true),
            [worker, flag, variable, value, right, "unshown"] => {
                ([worker, flag, variable, value, right], false)
            }
            _ => panic!("{row:?} is no row"),
        };
        let by_flag = start(worker, &[flag, value], None).await.unwrap();
        let by_variable = start(worker, &[], Some((variable, value))).await.unwrap();
        for (code, said) in [by_flag, by_variable] {
            assert_eq!(code, Some(2), "{row}: {said}");
            for part in [variable, right] {
                assert!(said.contains(part), "{part:?} is not what {row} says: {said}");
            }
            assert_eq!(said.contains(value), shown, "{row}: {said}");
        }
    }
}

#[tokio::test]
async fn a_switch_in_the_environment_takes_true_or_false() {
    let (code, said) = start("order", &[], Some(("JETSAGA_PROVISION", "maybe")))
        .await
        .unwrap();
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("JETSAGA_PROVISION is \"maybe\"; it takes true or false"),
        "{said}"
    );
}

/// As the OpenTelemetry specification has it: deployments write `OTEL_X=${X:-}`.
#[tokio::test]
async fn an_empty_variable_of_opentelemetry_is_as_good_as_none() {
    let rows = TABLE.lines().map(|row| row.split('|').map(str::trim));
    let variables: Vec<_> = rows.filter_map(|mut cells| cells.nth(2)).collect();
    let empty: Vec<_> = variables
        .iter()
        .filter(|name| name.starts_with("OTEL_"))
        .map(|name| (*name, ""))
        .collect();
    assert!(empty.len() > 5, "{variables:?}");
    let system = System::bare().await.unwrap();
    let mut command = jetsaga().unwrap();
    command
        .args(["worker", "order", "--provision", "--nats-url", &system.url])
        .envs(empty);
    let worker = Process::start(&mut command).unwrap();
    worker.until_said("working worker=").await.unwrap();
    let refused = start("order", &["--otlp-endpoint", ""], None).await.unwrap();
    assert_eq!(refused.0, Some(2), "an empty flag is still wrong: {}", refused.1);
    let ours = start("order", &[], Some(("JETSAGA_CONCURRENCY", "")))
        .await
        .unwrap();
    assert_eq!(ours.0, Some(2), "so is an empty variable of ours: {}", ours.1);
}

#[tokio::test]
async fn a_worker_that_is_none_is_refused_with_those_that_are() {
    let (code, said) = start("baker", &[], None).await.unwrap();
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("\"baker\"") && said.contains("order, payment"),
        "{said}"
    );
}
