use std::{ffi::OsString, process::ExitCode};

use clap::Parser as _;
use jetsaga::launch_from;

use crate::bench;

/// Runs one worker as this process: the same code as the worker's own binary.
pub(crate) fn run(name: &str, args: &[OsString]) -> ExitCode {
    let line = std::iter::once(OsString::from(format!("jetsaga worker {name}"))).chain(args.iter().cloned());
    if name.starts_with("bench-")
        && let Some(code) = bench::run_worker(name, line.clone())
    {
        return code;
    }
    match name {
        "order" => launch_from(
            "order",
            "Lets orders in, and ends what was taken back",
            line,
            order::worker,
        ),
        "payment" => launch_from(
            "payment",
            "Charges orders, and gives money back",
            line,
            payment::worker,
        ),
        "inventory" => launch_from(
            "inventory",
            "Reserves stock, all or none",
            line,
            inventory::worker,
        ),
        "shipping" => launch_from(
            "shipping",
            "Ships what is paid and reserved",
            line,
            shipping::worker,
        ),
        "notifier" => launch_from("notifier", "Tells customers how it ended", line, notifier::worker),
        "outbound" => launch_from(
            "outbound",
            "Tells outsiders what happened",
            line,
            outbound::worker,
        ),
        "projector" => launch_from("projector", "Keeps the read models", line, projector::worker),
        "gateway" => launch_from("gateway", "Serves orders over HTTP", line, gateway::worker),
        "provider" => provider(line),
        other => {
            eprintln!(
                "error: there is no worker {other:?}; it takes order, payment, inventory, shipping, notifier, outbound, projector, gateway or provider"
            );
            ExitCode::from(2)
        }
    }
}

fn provider(line: impl Iterator<Item = OsString>) -> ExitCode {
    let args = provider::Args::parse_from(line);
    provider::start_logs();
    let run = || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut stop = jetsaga::on_signal()?;
            provider::run(args, async move {
                let _ = stop.wait_for(|stop| *stop).await; // a dropped sender stops as well
            })
            .await
        })
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
