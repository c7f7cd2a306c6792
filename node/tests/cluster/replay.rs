//! Nodes that record what they take, and the replay of it.

use std::path::Path;

use super::dev::{Dev, three_ports};
use super::process::decube;

fn replay(arguments: &[&str], directory: &Path) -> (Option<i32>, String, String) {
    let mut command = decube();
    command.arg("replay").arg(directory).args(arguments);
    let output = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The one run of a node, and its first segment.
fn only_run(of_node: &Path) -> std::path::PathBuf {
    let mut runs = std::fs::read_dir(of_node).expect("it recorded");
    let run = runs.next().expect("one run").expect("readable").path();
    assert!(runs.next().is_none(), "no other run");
    run
}

#[test]
fn a_recorded_cluster_replays_and_damage_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let recorded = dir.path().join("recorded");
    let text = recorded.to_str().expect("text");
    let mut dev = Dev::start_with(&dir.path().join("data"), three_ports(), &["--record", text]);
    for number in 0..20 {
        let value = format!("value-{number}");
        let (code, _, error) = dev.run(&["kv", "put", "key", &value]);
        assert_eq!(code, 0, "{error}");
    }
    dev.interrupt();

    let (code, out, error) = replay(&["-o", "json"], &recorded);
    assert_eq!(code, Some(0), "{error}");
    let runs: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let runs = runs.as_array().expect("a list");
    assert_eq!(runs.len(), 3);
    for run in runs {
        assert_eq!(run["end"], "stopped with the node", "{run}");
        assert!(run["events"].as_u64().expect("a count") > 20, "{run}");
        assert_eq!(run["events"], run["confirmed"], "{run}");
    }

    // At their ends all nodes that stopped hold the same state.
    let mut digests = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        let node = recorded.join(format!("node-{}", place + 1));
        let last = run["events"].to_string();
        let (code, out, error) = replay(&["--until", &last, "-o", "json"], &node);
        assert_eq!(code, Some(0), "{error}");
        let at: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        let at = &at[0]["at"];
        assert_eq!(at["phase"], "ended", "{at}");
        assert!(
            at["log"]["applied"].as_u64().expect("an index") >= 20,
            "{at}"
        );
        digests.push((at["log"]["applied"].clone(), at["state_digest"].clone()));
    }
    digests.sort_by_key(|(applied, _)| applied.as_u64());
    for pair in digests.windows(2) {
        assert!(pair[0].0 != pair[1].0 || pair[0].1 == pair[1].1, "{pair:?}");
    }
    let (code, out, _) = replay(&["--until", "2"], &recorded.join("node-1"));
    assert_eq!(code, Some(0));
    assert!(out.contains("at event") && out.contains("Start"), "{out}");

    let segment = only_run(&recorded.join("node-2")).join("000001.dcj");
    let mut bytes = std::fs::read(&segment).expect("a segment");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, &bytes).expect("written");
    let (code, _, error) = replay(&[], &recorded.join("node-2"));
    assert_eq!(code, Some(7), "{error}");
    assert!(error.contains("record of step"), "{error}");
    assert_eq!(replay(&[], &dir.path().join("data")).0, Some(3));
}
