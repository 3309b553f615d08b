//! The floors of the house: a dependency points down, never up or sideways.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// The floor of a member of the workspace, by its folder.
fn floor(folder: &str) -> Option<u8> {
    Some(match folder {
        "shared/saga" => 0,
        "shared/checkout" | "shared/engine" => 1,
        "shared/jetsaga" | "shared/projection" => 2,
        "shared/readmodel" => 3,
        "workers/gateway" | "tests/proof" => 5,
        "workers/cli" => 6,
        "tests" => 7,
        other if other.starts_with("workers/") => 4,
        _ => return None,
    })
}

/// What a member never names, whatever its floor.
fn forbidden(folder: &str) -> &'static [&'static str] {
    match folder {
        "shared/saga" | "shared/checkout" => &["tokio", "async-nats", "axum", "reqwest", "clap"],
        _ => &[],
    }
}

/// Every arrow that points where it should not, in words.
fn wrong_arrows(metadata: &Value) -> Result<Vec<String>> {
    let root = text(&metadata["workspace_root"])?;
    let folder = |path: &str| {
        path.strip_prefix(root)
            .map(|path| path.trim_matches('/').to_owned())
    };
    let mut wrong = Vec::new();
    let packages = metadata["packages"].as_array().context("no packages")?;
    for package in packages {
        let manifest = text(&package["manifest_path"])?;
        let from = folder(manifest.trim_end_matches("Cargo.toml")).context("a member is elsewhere")?;
        let from_floor = floor(&from).with_context(|| format!("{from} is on no floor"))?;
        for dependency in package["dependencies"].as_array().context("no dependencies")? {
            let name = text(&dependency["name"])?;
            if forbidden(&from).contains(&name) {
                wrong.push(format!("{from} names {name}"));
            }
            let Some(to) = dependency["path"].as_str().and_then(folder) else {
                continue;
            };
            let to_floor = floor(&to).with_context(|| format!("{to} is on no floor"))?;
            if to_floor >= from_floor {
                wrong.push(format!("{from} depends on {to}"));
            }
        }
    }
    ensure!(!packages.is_empty(), "there is nothing to look at");
    Ok(wrong)
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

#[test]
fn arrows_point_down_only() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
            "--manifest-path",
            manifest,
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(metadata["packages"].as_array().unwrap().len() >= 10);
    assert_eq!(wrong_arrows(&metadata).unwrap(), Vec::<String>::new());
}

#[test]
fn an_arrow_that_points_up_or_sideways_is_seen() {
    let package = |folder: &str, dependencies: Value| json!({"manifest_path": format!("/house/{folder}/Cargo.toml"), "dependencies": dependencies});
    let to = |name: &str, folder: &str| json!({"name": name, "path": format!("/house/{folder}")});
    let metadata = json!({
        "workspace_root": "/house",
        "packages": [
            package("shared/saga", json!([to("engine", "shared/engine"), {"name": "tokio"}, {"name": "serde"}])),
            package("shared/engine", json!([to("checkout", "shared/checkout"), to("saga", "shared/saga")])),
            package("workers/order", json!([to("payment", "workers/payment"), to("jetsaga", "shared/jetsaga")])),
            package("workers/cli", json!([to("payment", "workers/payment")])),
        ],
    });
    let expected = [
        "shared/saga depends on shared/engine",
        "shared/saga names tokio",
        "shared/engine depends on shared/checkout",
        "workers/order depends on workers/payment",
    ];
    assert_eq!(wrong_arrows(&metadata).unwrap(), expected);
    let elsewhere = json!({"workspace_root": "/house", "packages": [package("attic", json!([]))]});
    assert_eq!(
        wrong_arrows(&elsewhere).unwrap_err().to_string(),
        "attic is on no floor"
    );
}
