//! Which package may depend on which: the layers of the architecture.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Package, the packages of ours that it may depend on, and crates that must not
/// be among its direct dependencies.
const LAYERS: &[(&str, &[&str], &[&str])] = &[
    ("proto", &[], &["tokio", "libp2p", "rocksdb"]),
    ("codec-derive", &[], &["tokio", "libp2p", "rocksdb"]),
    (
        "core",
        &["codec-derive", "proto"],
        &["tokio", "libp2p", "rocksdb", "rand", "serde_json"],
    ),
    (
        "io-sim",
        &["core", "proto"],
        &["libp2p", "rocksdb", "tokio"],
    ),
    ("io-real", &["core", "proto"], &["io-sim"]),
    (
        "sim-tests",
        &["core", "io-sim", "io-real"],
        &["libp2p", "rocksdb"],
    ),
    (
        "node",
        &["core", "io-sim", "io-real", "proto"],
        &["rocksdb"],
    ),
    ("scripts", &["proto"], &["tokio", "libp2p", "rocksdb"]),
];

/// Crates that compile C++ and must never be reached from `sim-tests`.
const CPLUSPLUS: &[&str] = &["librocksdb-sys", "rocksdb", "aws-lc-sys"];

/// A feature for tests of a workspace of their own: with it a node has a part that no
/// program may have, and features unify, so nothing here may ask for it.
const NEVER_SHIPPED: &str = "toy";

/// Checks the edges and prints them.
pub fn check(root: &Path) -> Result<(), String> {
    let metadata = metadata(root)?;
    let direct = direct_dependencies(&metadata)?;
    let ours: BTreeSet<&str> = LAYERS.iter().map(|(name, _, _)| *name).collect();
    let mut errors = Vec::new();
    for (name, allowed, banned) in LAYERS {
        let Some(dependencies) = direct.get(*name) else {
            errors.push(format!("package `{name}` is missing"));
            continue;
        };
        let edges: Vec<&str> = dependencies
            .iter()
            .map(String::as_str)
            .filter(|d| ours.contains(d))
            .collect();
        println!(
            "{name:10} -> {}",
            if edges.is_empty() {
                "-".into()
            } else {
                edges.join(", ")
            }
        );
        for edge in &edges {
            if !allowed.contains(edge) {
                errors.push(format!("`{name}` must not depend on `{edge}`"));
            }
        }
        for crate_name in *banned {
            if dependencies.contains(*crate_name) {
                errors.push(format!("`{name}` must not depend on `{crate_name}`"));
            }
        }
    }
    errors.extend(unlisted_packages(&direct, &ours));
    errors.extend(asks_for_what_never_ships(&metadata));
    errors.extend(reaches_cplusplus(root)?);
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("\n       "))
    }
}

fn metadata(root: &Path) -> Result<Value, String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata does not start: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

/// The direct dependencies of each package, development and build ones left out:
/// an oracle used by a test is no layer.
fn direct_dependencies(metadata: &Value) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata has no packages")?;
    let mut direct = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default().to_owned();
        let dependencies = package["dependencies"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let normal = dependencies
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
            .collect();
        direct.insert(name, normal);
    }
    Ok(direct)
}

/// Packages of this workspace that switch the feature on, for themselves or by one of their
/// own features.
fn asks_for_what_never_ships(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let mut errors = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let asked = dependencies.flat_map(|one| one["features"].as_array().into_iter().flatten());
        let own = package["features"].as_object().into_iter().flatten();
        let own = own.flat_map(|(_, implied)| implied.as_array().into_iter().flatten());
        let mut all = asked.chain(own).filter_map(Value::as_str);
        if all.any(|feature| feature.split('/').next_back() == Some(NEVER_SHIPPED)) {
            errors.push(format!(
                "`{name}` must not ask for the feature `{NEVER_SHIPPED}`"
            ));
        }
    }
    errors
}

fn unlisted_packages(
    direct: &BTreeMap<String, BTreeSet<String>>,
    ours: &BTreeSet<&str>,
) -> Vec<String> {
    direct
        .keys()
        .filter(|name| !ours.contains(name.as_str()))
        .map(|name| format!("package `{name}` has no layer: add it to scripts/src/graph.rs"))
        .collect()
}

/// What `cargo test -p sim-tests` compiles must be free of C++.
fn reaches_cplusplus(root: &Path) -> Result<Vec<String>, String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "-p",
            "sim-tests",
            "--prefix",
            "none",
            "--locked",
            "--format",
            "{p}",
        ])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo tree does not start: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let names: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let reached = CPLUSPLUS.iter().filter(|name| names.contains(**name));
    Ok(reached
        .map(|name| format!("`sim-tests` reaches `{name}`, which compiles C++"))
        .collect())
}
